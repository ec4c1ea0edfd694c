import { type Api, connect, type Repository } from './api.ts';
import { Contents } from './contents.ts';
import { Trees } from './trees.ts';

/** The repository as one run sees it. */
export type Remote = {
  readonly api: Api;
  readonly repository: Repository;
  readonly contents: Contents;
  readonly trees: Trees;
};

export function remoteOf(token: string, repository: Repository): Remote {
  const api = connect(token);
  return { api, repository, contents: new Contents(api, repository), trees: new Trees(api, repository) };
}
