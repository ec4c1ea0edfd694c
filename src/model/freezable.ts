import type { Freezable } from './run.ts';

/** What a run calls a tower that freezes it, by the tower's name: an encoder of images or sound, a projector, or one of the rest. */
export function freezableOf(name: string): Freezable {
  if (name.endsWith('projector')) return 'projector';
  if (/^(vision|visual|vit|image|video)/.test(name)) return 'vision';
  return /^(audio|speech)/.test(name) ? 'audio' : 'towers';
}
