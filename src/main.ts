import { main } from './github/main.ts';

await main();
