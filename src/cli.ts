#!/usr/bin/env node
import { main } from './local/main.ts';

// Neither a top-level await nor an import at run time: both keep the bundler from joining modules, which costs a fifth of every start.
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
