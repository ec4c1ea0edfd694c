import { z } from 'zod';

/** What `history --format json` prints. Nothing at run time needs it, so that no start waits for it. */
export const historySchema = z.object({
  version: z.literal(1),
  path: z.string().describe('the config, from the root of the repository'),
  commits: z
    .array(
      z.object({
        commit: z.string(),
        date: z.string().describe('of the commit, as YYYY-MM-DD'),
        subject: z.string(),
        path: z.string().describe('the name of the config at this commit'),
        problem: z.string().nullable().describe('why there are no figures'),
        exact: z.boolean().nullable().describe('whether the parameters are counted to the last one'),
        changed: z.boolean().describe('whether anything of the job differs from the commit before'),
        metrics: z
          .record(z.string(), z.number().nullable())
          .describe('every metric by its id; null where it is not known'),
        fields: z.array(
          z.object({
            origin: z.enum(['architecture', 'run']),
            path: z.string(),
            before: z.string().optional(),
            after: z.string().optional(),
            line: z.number().optional(),
          }),
        ),
        run: z
          .record(z.string(), z.unknown())
          .nullable()
          .describe('the run as settled, in the words of a run description'),
      }),
    )
    .describe('oldest first'),
  notes: z.array(z.string()).describe('sentences about commits that are not listed'),
});

export type HistoryReport = z.infer<typeof historySchema>;
