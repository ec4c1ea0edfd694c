// The built action against a stand-in for GitHub that is far away and fails: verdict, time, requests and memory for many configs.
//   npm run build && node scripts/node24.mjs scripts/load.ts [COUNT...]
import { createServer, request as forward, type Server } from 'node:http';
import { runAction } from '../test/action.ts';
import { GitHubServer } from '../test/github-server.ts';
import { config, pullRequest } from '../test/states.ts';

const latency = 150;
const failing = 0.12;

/** Every config grows, and the last goes over its budget: the verdict is a failure that only reading all of them can find. */
function treesOf(count: number) {
  const tree = (layers: number, last: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `configs/model-${String(index).padStart(4, '0')}.json`,
        config({ intermediate_size: 8192 + index, num_hidden_layers: index === count - 1 ? last : layers }),
      ]),
    );
  return pullRequest(tree(16, 32), tree(17, 80));
}

/** Passes requests on after a while; some fail, a third of them after they had their effect. */
async function proxy(
  to: GitHubServer,
  chaos: boolean,
): Promise<{ readonly server: Server; readonly url: string; readonly rounds: { now: number } }> {
  let number = 0;
  /** The longest chain of requests of which each was sent after the one before was answered. */
  const rounds = { now: 0 };
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const round = rounds.now + 1;
    await new Promise((done) => setTimeout(done, latency));
    outgoing.on('finish', () => {
      rounds.now = Math.max(rounds.now, round);
    });
    number += 1;
    // Spread evenly, so that every run meets as many.
    const fails = chaos && Math.floor(number * failing) > Math.floor((number - 1) * failing);
    const after = fails && Math.floor(number * failing) % 3 === 0;
    if (fails && !after) return void outgoing.writeHead(502).end('bad gateway');
    const { method, url: path, headers } = incoming;
    const onward = forward(`${to.url}${path}`, { method, headers }, (answer) => {
      if (after) return void answer.resume().on('end', () => outgoing.writeHead(502).end('bad gateway'));
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(outgoing);
    });
    onward.end(Buffer.concat(chunks));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = server.address();
  return {
    server,
    rounds,
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
  };
}

const tellMemory = `process.on('exit', () => process._rawDebug('peak memory ' + process.resourceUsage().maxRSS));`;

async function measure(count: number, chaos: boolean): Promise<string> {
  const github = await GitHubServer.start(treesOf(count));
  const { server, url, rounds } = await proxy(github, chaos);
  const ran = await runAction(github, {}, undefined, {
    GITHUB_API_URL: url,
    GITHUB_GRAPHQL_URL: `${url}/graphql`,
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tellMemory)}`,
  });
  const kibibytes = Number(/peak memory (\d+)/.exec(ran.log)?.[1] ?? Number.NaN);
  const row = [
    count,
    chaos ? `${100 * failing} % fail` : 'none fails',
    ran.outputs['verdict'],
    `${(ran.milliseconds / 1_000).toFixed(1)} s`,
    `${github.requests.length} requests in ${rounds.now} rounds`,
    `${(kibibytes / 1_024).toFixed(0)} MiB`,
    `${github.state.comments.filter(({ minimized }) => !minimized).length} comment`,
  ];
  server.closeAllConnections();
  server.close();
  await github.stop();
  return row.join('  ');
}

const counts = process.argv.slice(2).map(Number);
for (const count of counts.length > 0 ? counts : [1, 50, 1_000, 3_000])
  for (const chaos of [false, true]) console.log(await measure(count, chaos));
