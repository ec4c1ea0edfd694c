import { z } from 'zod';
import { acceleratorIds } from '../facts/accelerators.ts';
import { type Metric, metrics } from '../gate/metrics.ts';
import { waivable } from '../gate/review.ts';
import { lazily } from '../remembering.ts';
import { runSchema } from '../setup/description.ts';
import { isWhole, notationOf, type Use } from './amounts.ts';

/**
 * The policy file `.github/model-cost.yml`, as users write it. Its JSON Schema is published for editors
 * (`schema/policy.schema.json`), so every key carries its description.
 */

const glob = lazily(() =>
  z.string().min(1).max(500).meta({
    id: 'glob',
    description:
      'a glob of paths from the root of the repository: `*` within a folder, `**` across folders, `!` excludes',
  }),
);

const globs = lazily(() =>
  z
    .union([glob(), z.array(glob()).min(1).max(200)], { error: 'must be a glob or a list of globs' })
    .describe('one glob or a list of them; a leading `!` excludes'),
);

const path = lazily(() =>
  z
    .string()
    .max(500)
    .regex(/^(?!\/)(?!(.*\/)?\.\.(\/|$))[^\n]*[^\n/]$/, 'must be the path of a file in this repository')
    .describe('path of a file in this repository, read from the same commit as the policy'),
);

const run = lazily(() =>
  z
    .union([path(), runSchema().meta({ id: 'run' })], { error: 'must be a run description or the path of one' })
    .describe('how the models are trained: a run description, or the path of one'),
);

/** An amount of a metric in the notation of its unit, as a text or, where that is clear, as a number. */
function amount(metric: Metric, use: Use) {
  const { patterns, largest, example } = notationOf(metric.unit, use);
  const error = `must be ${example}`;
  const text = z
    .string()
    .max(40)
    .regex(new RegExp(patterns.map(({ source }) => source).join('|')), error);
  const number = isWhole(metric.unit) ? z.number().int(error) : z.number();
  return largest > 0 ? z.union([number.nonnegative(error).max(largest, error), text], { error }) : text;
}

function bounds(metric: Metric) {
  return {
    max: amount(metric, 'value').optional().describe('the most it may be'),
    min: amount(metric, 'value').optional().describe('the least it may be'),
    max_increase: amount(metric, 'move').optional().describe('the most that one change may add'),
    max_decrease: amount(metric, 'move').optional().describe('the most that one change may take away'),
  };
}

/** Limits of one metric. A bare amount is short for `max`, or for `min` where less is worse. */
function budget(metric: Metric) {
  const { example } = notationOf(metric.unit, 'value');
  return z
    .union(
      [
        amount(metric, 'value'),
        z.strictObject({
          ...bounds(metric),
          warn: z.strictObject(bounds(metric)).optional().describe('limits that only warn'),
        }),
      ],
      { error: `must be ${example}, or a mapping of max, min, max_increase, max_decrease and warn` },
    )
    .optional()
    .describe(
      `${metric.label}: limits that fail the check. A bare amount is short for ${metric.worse === 'up' ? 'max' : 'min'}.`,
    );
}

type BudgetSchema = ReturnType<typeof budget>;

const budgets = lazily(() =>
  z
    .strictObject(
      Object.fromEntries(metrics.map((metric) => [metric.id, budget(metric)])) as Record<
        (typeof metrics)[number]['id'],
        BudgetSchema
      >,
    )
    .meta({ id: 'budgets', description: 'limits by metric' }),
);

const failOn = lazily(() =>
  z
    .enum(['over-budget', 'increase', 'never'])
    .describe('what fails the check: a limit that is broken, any metric that gets worse, or nothing'),
);

const hardware = lazily(() => {
  const { gpus, gpus_per_node, inter_node_gbps_per_gpu, price_per_gpu_hour, power_cap_watts } = runSchema().shape;
  return z
    .strictObject({
      accelerator: z.enum(acceleratorIds as [string, ...string[]]).describe('an id of `model-cost list accelerators`'),
      gpus: gpus.describe('how many GPUs a run has'),
      gpus_per_node: gpus_per_node.describe('GPUs that share a node'),
      inter_node_gbps_per_gpu,
      price_per_gpu_hour: price_per_gpu_hour.describe('US dollars for one GPU and hour'),
      power_cap_watts: power_cap_watts.describe('watts that a GPU is capped at'),
      calibration: z
        .union(
          [
            z.number().positive().max(100).describe('measured over projected tokens per second'),
            z
              .strictObject({
                config: path().describe('the model that ran: the path of its config'),
                run: run().optional().describe('how it ran: a run description, or the path of one'),
                tokens_per_second: z
                  .union(
                    [
                      z.number().positive(),
                      z
                        .string()
                        .max(30)
                        .regex(/^\d[\d_]*(\.\d+)?\s*[kKmM]?$/),
                    ],
                    {
                      error: 'must be a number of tokens like 512000 or 512k',
                    },
                  )
                  .describe('as measured, of all GPUs together'),
              })
              .describe('a measured run, against which the projections are scaled'),
          ],
          { error: 'must be a ratio, or a mapping of config, run and tokens_per_second' },
        )
        .optional()
        .describe('a real run on this hardware, by which projections are scaled'),
    })
    .describe('a kind of machine that runs are trained on');
});

const hardwareName = lazily(() => z.string().min(1).max(100).describe('a name under `hardware`'));

const covered = [...metrics.map(({ id }) => id), ...waivable] as const;
const day = lazily(() =>
  z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}$/, 'must be a day like 2026-12-31')
    .refine(isDay, 'must be a day of the calendar'),
);

function isDay(text: string): boolean {
  const [year = 0, month = 0, date = 0] = text.split('-').map(Number);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  return days !== undefined && date >= 1 && date <= days;
}

const waiver = lazily(() =>
  z
    .strictObject({
      match: globs().describe('configs that it covers'),
      covers: z
        .union([z.enum(covered), z.array(z.enum(covered)).min(1).max(50)], {
          error: 'must be a metric or the code of a finding, or a list of them',
        })
        .describe('metrics, or codes of findings, that it lets pass as warnings'),
      until: day().describe('the last day on which it holds (UTC), as 2026-12-31'),
      reason: z.string().min(1).max(300).describe('why; shown beside the finding'),
    })
    .describe('lets findings pass as warnings until a day'),
);

export const policySchema = lazily(() =>
  z.strictObject({
    $schema: z.string().max(500).optional().describe('for editors'),
    version: z.literal(1).describe('of this format'),
    defaults: z
      .strictObject({
        hardware: hardwareName().optional().describe('a name under `hardware`; left out, the only one there'),
        run: run().optional().describe('how models are trained where neither an entry nor the config says so'),
        budgets: budgets().optional(),
        fail_on: failOn().optional(),
        comment: z.enum(['changes', 'always', 'failures', 'never']).optional().describe('when a comment is created'),
        comment_threshold: z
          .string()
          .regex(/^\d{1,3}(\.\d{1,4})?\s*%$/, 'a share like 2%')
          .optional()
          .describe('a share of every metric: for a change that moves less, no comment is created'),
        override_label: z
          .string()
          .min(1)
          .max(100)
          .optional()
          .describe('a label that turns a failure into a warning, read from the pull request as it is now'),
        baseline: z.enum(['merge-base', 'base-tip']).optional().describe('what the head is compared with'),
        hints: z
          .boolean()
          .optional()
          .describe(
            'whether a config within its budget is told of a run that is at least 10 % faster; true unless stated',
          ),
      })
      .optional()
      .describe('what holds for every config; the inputs of a workflow win over it'),
    hardware: z.record(z.string().min(1).max(100), hardware()).optional().describe('machines by name'),
    configs: z
      .array(
        z
          .strictObject({
            match: globs(),
            hardware: hardwareName().optional(),
            run: run().optional(),
            with: z
              .union([path(), z.array(path()).max(20)], { error: 'must be a path or a list of paths' })
              .optional()
              .describe(
                'files that are part of these jobs though they do not name them: DeepSpeed, accelerate and model configs, read from each side of a comparison',
              ),
            inputs: z
              .record(z.string().min(1).max(100), z.union([z.string().max(1000), z.number()]), {
                error: 'must be values by the names of variables, or by "1", "2" for positional arguments',
              })
              .optional()
              .describe(
                'what launch scripts are started with: positional arguments by their number ("1": 7B), variables of the environment (TP: 4) and what commands in them print ("$(nproc)": 64)',
              ),
            budgets: budgets().optional(),
            fail_on: failOn().optional(),
          })
          .describe('what holds for the configs of these globs, beside the defaults'),
      )
      .max(1000)
      .optional()
      .describe(
        'entries for configs; where several match, later ones win, key by key. A config that an entry names must be readable',
      ),
    base_models: z
      .record(z.string().min(1).max(300), path())
      .optional()
      .describe(
        'configs of models by the names that training files give them, where a name is not in the catalogue; each read from its side of a comparison',
      ),
    waivers: z.array(waiver()).max(1000).optional(),
    ignore: z
      .union([glob(), z.array(glob()).max(1000)], { error: 'must be a glob or a list of globs' })
      .optional()
      .describe('configs that are never looked at'),
  }),
);

export type PolicyDescription = z.infer<ReturnType<typeof policySchema>>;
export type BudgetsDescription = z.infer<ReturnType<typeof budgets>>;
