import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { reportOf } from '../../src/library.ts';
import { folder, repository, root, write } from '../command.ts';
import { config } from '../states.ts';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const where = folder();
const installed = join(where, 'node_modules/model-cost-gate');
let files: readonly string[] = [];

/** The package as npm would unpack it, beside its dependencies and nothing else. */
beforeAll(() => {
  const said = execFileSync('npm', ['pack', '--silent', '--json', '--pack-destination', where], {
    cwd: root,
    encoding: 'utf8',
  });
  const [{ filename, files: packed }] = JSON.parse(said.slice(said.indexOf('[')));
  files = packed.map(({ path }: { path: string }) => path);
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(where, filename), '-C', installed, '--strip-components=1']);
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(where, 'node_modules', name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(where, 'node_modules', name));
  }
});

describe('the package', () => {
  it('has the command line, the library with its types, the schemas and the licence, and nothing of the action or the tests', () => {
    for (const path of [
      'dist/cli/index.js',
      'build/library.js',
      'build/library.d.ts',
      'schema/report.schema.json',
      'LICENSE',
      'README.md',
    ])
      expect(files).toContain(path);
    expect(
      files.filter((path) => /^(test|scripts|docs|src)\/|^dist\/index\.js$|^build\/(github|main)|\.map$/.test(path)),
    ).toEqual([]);
  });

  it('installs nothing that only its own build and tests need', () => {
    expect(manifest).not.toHaveProperty('private');
    expect(manifest).not.toHaveProperty('optionalDependencies');
    expect(manifest.scripts).not.toHaveProperty('postinstall');
    expect(manifest.scripts).not.toHaveProperty('prepare');
  });

  it('has a command that runs without its dependencies', () => {
    const command = join(installed, manifest.bin['model-cost']);
    accessSync(command, constants.X_OK);
    const { status, stdout } = spawnSync(process.execPath, [command, 'report', 'gpt2', '-f', 'json'], {
      cwd: where,
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(JSON.parse(stdout).reports[0].parameters.total).toBe(124_439_808);
  });

  it('can be imported: the same report as from the sources', () => {
    const text = config();
    const options = { run: 'gpus: 16', memoryBudget: '10GiB' };
    const script = `import { diffOf, reportOf } from 'model-cost-gate';
      const [text, options] = JSON.parse(process.argv[1]);
      console.log(JSON.stringify([reportOf(text, options), diffOf(text, text, options).comparisons[0].status]));`;
    const words = ['--input-type=module', '-e', script, JSON.stringify([text, options])];
    const [report, status] = JSON.parse(execFileSync(process.execPath, words, { cwd: where, encoding: 'utf8' }));
    expect(report).toEqual(JSON.parse(JSON.stringify(reportOf(text, options))));
    expect(report.verdict).toMatchObject({ outcome: 'fail', findings: [{ code: 'memory-over-budget' }] });
    expect(status).toBe('unchanged');
  });

  it('has types that a strict program compiles with', () => {
    const program = `import { type JsonReport, reportOf } from 'model-cost-gate';
      const report: JsonReport = reportOf('{}', { gpus: 8 });
      export const total: number | undefined = report.reports[0]?.parameters?.total;
      // @ts-expect-error there is no such option
      reportOf('{}', { gpu: 8 });\n`;
    write(where, { 'program.ts': program, 'package.json': '{"type": "module"}' });
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const words = [
      tsc,
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--target',
      'es2024',
      '--module',
      'nodenext',
      'program.ts',
    ];
    const { status, stdout } = spawnSync(process.execPath, words, { cwd: where, encoding: 'utf8' });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  });
});

describe('the library', () => {
  it('says why a config cannot be read, and throws where the options cannot be followed', () => {
    expect(reportOf('{').reports[0]).toMatchObject({ parameters: null, problems: [{ severity: 'error' }] });
    expect(() => reportOf(config(), { accelerator: 'h100' })).toThrow('accelerator');
    expect(() => reportOf(config(), { run: 'gpu: 8' })).toThrow('gpus');
  });
});

describe('the pre-commit hook', () => {
  it('is a script of the repository that judges what changed since the last commit', () => {
    const [hook] = parse(readFileSync(join(root, '.pre-commit-hooks.yaml'), 'utf8'));
    const entry = join(root, hook.entry);
    accessSync(entry, constants.X_OK);
    const { where: work, git } = repository({ 'a.json': config() });
    write(work, { 'a.json': config({ num_hidden_layers: 33 }) });
    git('add', '-A');
    const { status, stdout } = spawnSync(entry, hook.args, { cwd: work, encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toContain('num_hidden_layers 32 -> 33');
  });
});
