#!/usr/bin/env node
import { main } from './local/main.ts';

process.exitCode = main(process.argv.slice(2));
