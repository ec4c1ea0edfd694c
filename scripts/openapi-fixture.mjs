// Prunes GitHub's OpenAPI description to the requests that the action makes, for the end-to-end tests.
//   npm pack @octokit/openapi && tar xzf octokit-openapi-*.tgz package/generated/api.github.com.json
//   node scripts/openapi-fixture.mjs package/generated/api.github.com.json > test/fixtures/github-openapi.json
import { readFileSync } from 'node:fs';

const wanted = {
  '/repos/{owner}/{repo}/pulls/{pull_number}': ['get'],
  '/repos/{owner}/{repo}/pulls/{pull_number}/files': ['get'],
  '/repos/{owner}/{repo}/compare/{basehead}': ['get'],
  '/repos/{owner}/{repo}/git/trees/{tree_sha}': ['get'],
  '/repos/{owner}/{repo}/git/blobs/{file_sha}': ['get'],
  '/repos/{owner}/{repo}/issues/{issue_number}/comments': ['post'],
  '/repos/{owner}/{repo}/issues/comments/{comment_id}': ['patch'],
  '/repos/{owner}/{repo}/issues/{issue_number}/events': ['get'],
};

const whole = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const paths = {};
for (const [path, methods] of Object.entries(wanted)) {
  paths[path] = Object.fromEntries(methods.map((method) => [method, whole.paths[path][method]]));
}

/** Only requests are checked, so answers lose their schemas, and texts their length. */
for (const methods of Object.values(paths)) {
  for (const operation of Object.values(methods)) {
    operation.responses = { default: { description: 'any' } };
    for (const key of ['description', 'x-github', 'externalDocs', 'tags']) delete operation[key];
  }
}

const components = {};
const follow = (value) => {
  if (Array.isArray(value)) for (const item of value) follow(item);
  else if (value !== null && typeof value === 'object') {
    if (typeof value.$ref === 'string') {
      const [, , kind, name] = value.$ref.split('/');
      components[kind] ??= {};
      if (!(name in components[kind])) {
        components[kind][name] = whole.components[kind][name];
        follow(components[kind][name]);
      }
    }
    for (const [key, item] of Object.entries(value)) if (key !== 'examples' && key !== 'example') follow(item);
  }
};
follow(paths);
process.stdout.write(
  `${JSON.stringify({ openapi: whole.openapi, info: { title: 'GitHub REST API, pruned', version: whole.info.version }, paths, components }, null, 1)}\n`,
);
