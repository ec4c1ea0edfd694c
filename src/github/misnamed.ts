import { type Documents, type Inputs, policyPath } from '../settings/settings.ts';
import type { Api, Repository } from './api.ts';
import { readContents } from './contents.ts';

/** The policy with the other ending of YAML, under which nobody looks for it. */
const otherEnding = policyPath.replace(/yml$/, 'yaml');

/** In a sentence, where a repository has its policy under a name that is not read: whoever wrote it takes it to hold. */
export async function misnamedPolicy(
  api: Api,
  repository: Repository,
  inputs: Inputs,
  held: Documents,
  commit: string,
): Promise<string | undefined> {
  if (inputs['policy']?.trim() || held.policy !== undefined) return undefined;
  const [found] = await readContents(api, repository, [{ commit, path: otherEnding }]);
  if (found === undefined) return undefined;
  return `${otherEnding} is not read, so no policy holds: rename it to ${policyPath}, or name it by the input policy.`;
}
