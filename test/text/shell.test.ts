import { describe, expect, it } from 'vitest';
import { argumentsOf } from '../../src/text/script-arguments.ts';
import { readScript } from '../../src/text/shell.ts';

const words = (text: string, inputs?: Record<string, string>) =>
  readScript(text, undefined, inputs).commands.map((command) => command.words.map((word) => word.text).join(' '));
const value = (text: string) => argumentsOf(readScript(text)).value as { arguments: object; launch: object };

describe('a launch script, followed and never run', () => {
  it.each([
    ['an assignment', 'A=3\nrun --a $A', 'run --a 3'],
    ['a default', 'run --a ${A:-4} --b ${B-5}', 'run --a 4 --b 5'],
    ['a default that is kept', 'run ${A:=4} $A', 'run 4 4'],
    ['a list with comments', 'A=(\n --x 1 # one\n --y 2\n)\nA+=(--z 3)\nrun "${A[@]}"', 'run --x 1 --y 2 --z 3'],
    ['a text over lines', 'A="\n  --x 1 \\\n  --y 2 "\nrun $A', 'run --x 1 --y 2'],
    ['a slip behind the last sign of a line', 'run --x 1 \\  \n  --y 2', 'run --x 1 --y 2'],
    ['arithmetic', 'N=4\nG=8\nrun $((N * G)) $[N+1] $(( N > 2 ? 7 : 9 )) $((7/2))', 'run 32 5 7 3'],
    ['bc and expr', 'A=6\nrun $(echo "$A * 2" | bc) `expr $A + 1`', 'run 12 7'],
    ['parts of a text', 'M=a/b-7B.bin\nrun ${M##*/} ${M%.*} ${M/7B/70B}', 'run b-7B.bin a/b-7B a/b-70B.bin'],
    [
      'an if that the text decides',
      'S=7B\nif [[ $S == 70B ]]; then H=8192; elif [ "$S" = 7B ]; then H=4096; else H=1; fi\nrun $H',
      'run 4096',
    ],
    ['a case', 'S=70B\ncase $S in\n 7B) L=32 ;;\n 65B|70B) L=80 ;;\n *) L=0 ;;\nesac\nrun $L', 'run 80'],
    ['a function', 'go() { run --n $1 --m ${2:-3}; }\ngo 5', 'run --n 5 --m 3'],
    ['redirections', 'run --x 1 2>&1 > log.txt', 'run --x 1'],
    ['quotes', `run '--a $B' "--c d"`, 'run --a $B --c d'],
    ['what stands behind a condition', 'M=70b\nA=1\n[ "$M" = 7b ] && A=2\nrun $A', 'run 1'],
    ['what stands behind one that holds', 'M=7b\nA=1\n[[ $M == 7b && 3 -gt 2 ]] && A=2 || A=3\nrun $A', 'run 2'],
    ['what stands behind the second sign', 'A=1\n[[ -n "$X" ]] && A=2 || A=3\nrun $A', 'run 3'],
    ['a command that succeeds', 'cd /x && A=4; run $A', 'run 4'],
    ['an arithmetic condition', 'N=4\nif (( N > 3 && N < 9 )); then A=1; else A=2; fi\nrun $A', 'run 1'],
    ['arithmetic commands', 'let N=3+4\n((N++))\n(( N = N * 2 ))\n((N-=1))\nrun $N', 'run 15'],
    ['a subshell', 'A=3\n(A=4; run $A)\nrun --out $A', 'run --out 3'],
    ['a part of a text by its place', 'X=abcdef\nrun ${X:1:3} ${X:2}', 'run bcd cdef'],
    ['a variable that is unset', 'X=5\nunset X\nrun ${X:-7}', 'run 7'],
    ['arguments of its own', 'set -- 5 6\nshift\nrun $1', 'run 6'],
    ['a loop that counts', 'N=3\nA=()\nfor ((i=0; i<=N; i+=2)); do A+=($i); done\nrun "${A[@]}" end', 'run 0 2 end'],
    [
      'a loop that decides',
      'A=()\nfor ((i=0; i<3; i++)); do if (( i < 1 )); then A+=(0); else A+=(1); fi; done\nrun "${A[*]}" end',
      'run 0 1 1 end',
    ],
    ['lengths', 'A=(ab cd ef)\nB=abcd\nrun ${#A[@]} ${#B}', 'run 3 4'],
    ['a list joined by another sign', 'A=(1 2 3)\nB=$(IFS=", "; echo "${A[*]}")\nrun $B "${A[*]}"', 'run 1,2,3 1 2 3'],
    ['printf', 'printf -v A "[%s]-%d%%" x 3\nrun $A $(printf "%s.json" y)', 'run [x]-3% y.json'],
    ['a format that is not followed', 'printf -v A "%03d" 3\nrun --a $A', 'run --a $A'],
    ['a loop whose end is not known', 'A=1\nfor ((i=0; i<N; i++)); do A=2; done\nrun --a $A', 'run --a <the for loop>'],
    [
      'a loop of more turns than are followed',
      'A=1\nfor ((i=0; i<9999; i++)); do A=2; done\nrun --a $A',
      'run --a <the for loop>',
    ],
    ['a loop that is left', 'A=1\nfor ((i=0; i<3; i++)); do A=2; break; done\nrun --a $A', 'run --a <the for loop>'],
    [
      'a name that several words describe',
      'while true; do A=1; done\nrun --a $A --b 2',
      'run --a <the while loop> --b 2',
    ],
  ])('%s', (_, text, expected) => {
    expect(words(text)).toContain(expected);
  });

  it('leaves open what the text does not say, and names what is needed', () => {
    const [command] = readScript(
      'if [ $SIZE = 7B ]; then H=1; else H=2; fi\nrun --h $H --n $(hostname) --same 3',
    ).commands;
    const needs = Object.fromEntries((command?.words ?? []).map(({ text, needs }) => [text, needs]));
    expect(needs['$SIZE']).toEqual(['SIZE']);
    expect(needs['3']).toEqual([]);
    expect(words('run --h $H', { H: '9' })).toEqual(['run --h 9']);
  });

  it.each([
    ['behind a condition that nobody knows', 'A=1\n[ $X = y ] && A=2', 'A'],
    ['where a command may fail', 'A=1\nsource env || A=2', 'A'],
    ['of a pattern', 'A=abc\nA=${A/b*/x}', 'A'],
    ['at an end alone', 'A=abc\nA=${A/%c/x}', 'A'],
    ['that is read', 'A=1\nread -r A <<< "2"', 'A'],
    ['that a longer sum assigns', 'A=1\nB=1\n(( B = 2, A = 3 ))', 'A'],
    ['of the text of another one', 'A=$(x)$(y)\nB=$(x)\nA=${A/$B/3}', 'A'],
  ])('leaves a value open %s', (_, text, name) => {
    const word = readScript(`${text}\nrun $${name}`).commands.at(-1)?.words.at(-1);
    expect(word?.needs).not.toEqual([]);
    expect(word?.text).toMatch(/^\$|^<.*>$/);
  });

  it.each([
    ['as a word', 'run --n $(python3 size.py --of a) --m 3'],
    ['within quotes', 'run "--n $(python3 size.py --of a)" --m 3'],
    ['behind a sign', 'run --n=$(python3 size.py --of a) --m 3'],
    ['over lines', 'run --n $(python3 size.py \\\n  --of\ta) --m 3'],
    ['through a variable, a list and a part', 'A=$(python3 size.py --of a)\nB=(--n ${A/3/4})\nrun "${B[@]}" --m 3'],
    ['through a text that is evaluated', 'A=$(python3 size.py --of a)\neval "run --n $A --m 3"'],
    ['in what is prepared for others', 'ARGS=(--n $(python3 size.py --of a) --m 3)'],
    ['in a text that is prepared for others', 'ARGS="--n $(python3 size.py --of a) --m 3"'],
  ])('a command whose output nobody knows is one value, %s', (_, text) => {
    const { value, open } = argumentsOf(readScript(text));
    expect(value['arguments']).toEqual({ n: '$(python3 size.py --of a)', m: '3' });
    expect([...open]).toEqual([['arguments.n', ['$(python3 size.py --of a)']]]);
    const given = argumentsOf(readScript(text, undefined, { '$(python3 size.py --of a)': '32' }));
    expect([given.value['arguments'], given.open.size]).toEqual([
      { n: text.includes('/3/4') ? '42' : '32', m: '3' },
      0,
    ]);
  });

  it('ends a command where its brackets do, whatever its quotes hold', () => {
    expect(words(`run --a $(python3 -c "print(')')") --b "$(x ")" '(')"`)).toEqual([
      `run --a $(python3 -c "print(')')") --b $(x ")" '(')`,
    ]);
  });

  it('shows nobody the characters by which it marks what is open', () => {
    const text = `A="\u{E000}x\u{F8FF}$(y)"\ncat <<EOF > a.json\n{"a": $A, "b": $B}\nEOF\nrun --n $A --m \${A:0:1} ${'$C'.repeat(20_000)}`;
    const script = readScript(text, undefined, { C: '\u{E001}' });
    const { open, value } = argumentsOf(script);
    expect(JSON.stringify([...script.commands, ...script.written, value, [...open]])).not.toMatch(/\p{Co}/u);
    expect(script.written.get('a.json')).toBe('{"a": \u{FFFD}x\u{FFFD}$(y), "b": $B}\n');
  });

  it('keeps what both ways have in common', () => {
    const text = 'A=(--x 1)\nif [ $B = 1 ]; then A+=(--y 2); else A+=(--z 3); fi\nrun "${A[@]}"';
    expect(words(text)[0]).toMatch(/^run --x 1 \$B/);
  });

  it("knows Slurm's directives, and what follows from them", () => {
    const text =
      '#!/bin/bash\n#SBATCH --nodes=4\n#SBATCH --gres=gpu:a100:8\nsrun run --nnodes $SLURM_NNODES --num-layers 3 --a 1 --b 2';
    expect(value(text).launch).toEqual({ gpus_per_node: '8', nodes: '4' });
  });

  it('takes arguments apart', () => {
    const text =
      'torchrun --nproc_per_node=8 pretrain.py --bf16 --num-layers 32 --lr -1 "--fp8-format hybrid" --modules a b trainer.nnodes=2';
    expect(value(text)).toMatchObject({
      arguments: { bf16: true, 'num-layers': '32', lr: '-1', 'fp8-format': 'hybrid', modules: ['a', 'b'] },
      overrides: { 'trainer.nnodes': '2' },
      launch: { gpus_per_node: '8' },
    });
  });

  it('finds the arguments that a script prepares for others', () => {
    expect(value('MODEL_ARGS=(\n --num-layers 36\n --hidden-size 2560\n --swiglu\n)\n').arguments).toEqual({
      'num-layers': '36',
      'hidden-size': '2560',
      swiglu: true,
    });
  });

  it('reads in what it sources, and a config that it writes', () => {
    const script = readScript('source $(dirname $0)/m.sh\nrun $A\ncat <<EOF > ds.json\n{"a": $A}\nEOF\n', (path) =>
      path === './m.sh' ? 'A=5' : undefined,
    );
    expect(script.sourced).toEqual(['./m.sh']);
    expect(script.written.get('ds.json')).toBe('{"a": 5}\n');
  });
});

describe('a script made to hurt', () => {
  it.each([
    ['a function that calls itself', 'f() { f; f; }\nf'],
    ['quotes without end', '"'.repeat(10_001)],
    ['brackets without end', '$(('.repeat(30_000)],
    ['braces without end', '${a:-'.repeat(30_000)],
    ['a text that doubles', `A=xxxxxxxxxx\n${'A=$A$A\n'.repeat(60)}run $A`],
    ['a list that doubles', `A=(a b c)\n${'A+=(${A[@]})\n'.repeat(60)}run \${A[@]}`],
    ['blocks within blocks', 'if a; then\n'.repeat(3_000)],
    ['branches without number', `${'if [ $A = 1 ]; then B=1; else B=2; fi\n'.repeat(2_000)}run $B`],
    ['nested branches', `${'if [ $A = 1 ]; then\n'.repeat(18)}B=1\n${'else B=2\nfi\n'.repeat(18)}run $B`],
    ['powers of powers', 'run $((9**9**9**9))'],
    ['a long text run again and again', `X="${' --a 1'.repeat(3_300)}"\n${'run $X\n'.repeat(6_000)}`],
    ['a long text evaluated again and again', `X="${' --a 1'.repeat(3_300)}"\n${'eval "$X"\n'.repeat(6_000)}`],
    ['a here-document without end', 'cat <<EOF\n'.repeat(5_000)],
    ['cases without end', 'case a in\n'.repeat(3_000)],
    ['conditions without number', `${'[ $A = 1 ] && B=1 || B=2\n'.repeat(2_000)}run $B`],
    ['brackets that nothing closes', '( [[ '.repeat(3_000)],
    ['subshells within subshells', `${'('.repeat(2_000)}A=1${')'.repeat(2_000)}`],
    ['conditions behind conditions', `${'[ $A = 1 ] && '.repeat(3_000)}B=1`],
  ])('%s ends', (_, text) => {
    const before = process.cpuUsage();
    try {
      expect(readScript(text).commands.length).toBeLessThan(20_001);
    } catch (error) {
      expect(String(error)).toMatch(/more than|deeper than/);
    }
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(2);
  });
});
