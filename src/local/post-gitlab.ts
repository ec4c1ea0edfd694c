import { z } from 'zod';
import { Usage } from './arguments.ts';
import { answered, ask, type Found, needed, type Place } from './post.ts';

const pageSize = 100;
const mostPages = 50;

/** The notes of a merge request, by the variables that GitLab CI sets. Its job token may not write notes. */
export function gitLab(number: number | undefined): Place {
  const token = needed(['GITLAB_TOKEN'], 'a project or group access token with the scope api');
  const api = process.env['CI_API_V4_URL'] || 'https://gitlab.com/api/v4';
  const project = needed(['CI_MERGE_REQUEST_PROJECT_ID', 'CI_PROJECT_ID'], 'the id of the project');
  const stated = number ?? Number(process.env['CI_MERGE_REQUEST_IID']);
  if (!Number.isInteger(stated)) throw new Usage('Which merge request is meant? State --pull-request N.');
  const request = `${api}/projects/${encodeURIComponent(project)}/merge_requests/${stated}`;
  const say = (url: string, method: 'GET' | 'POST' | 'PUT' = 'GET', body?: unknown) =>
    ask(url, { 'private-token': token }, method, body);
  let page = '';
  const noteUrl = (id: number) => `${page}#note_${id}`;
  return {
    find: async (begins) => {
      const { id: self } = answered(z.object({ id: z.number() }), await say(`${api}/user`));
      const merge = z.object({ sha: z.string(), state: z.string(), web_url: z.string() });
      const { sha, state, web_url } = answered(merge, await say(request));
      page = web_url;
      const own: Found[] = [];
      for (let count = 1; count <= mostPages; count++) {
        const notes = notesOf(await say(`${request}/notes?per_page=${pageSize}&page=${count}&sort=asc`));
        const ours = notes.filter(
          ({ author, body, system }) => author.id === self && !system && body.startsWith(begins),
        );
        own.push(...ours.map(({ id, body }) => ({ id: String(id), body, url: noteUrl(id) })));
        if (notes.length < pageSize) break;
      }
      return { own, head: sha, open: state === 'opened' };
    },
    create: async (body) =>
      noteUrl(answered(z.object({ id: z.number() }), await say(`${request}/notes`, 'POST', { body })).id),
    update: async ({ id, url }, body) => {
      await say(`${request}/notes/${encodeURIComponent(id)}`, 'PUT', { body });
      return url;
    },
  };
}

function notesOf(answer: unknown) {
  const note = z.object({
    id: z.number(),
    body: z.string(),
    system: z.boolean(),
    author: z.object({ id: z.number() }),
  });
  return answered(z.array(note), answer);
}
