import { savedTensors } from './activations.ts';
import { BackwardTrack } from './backward-track.ts';
import { forwardTrack } from './forward-track.ts';
import type { Running } from './pass.ts';
import { Recorder, type Tape } from './tape.ts';

/** The tape of a layer, or of the norm in front of the output. */
export function layerTape(running: Running): Tape {
  const { list, run, recomputed, stream } = running;
  const recorder = new Recorder();
  const saved = savedTensors(list, { ...run, recompute: 'none' });
  const input = recorder.block(stream);
  const outputGradient = recorder.block(stream);
  const pass = { ...running, recorder, saved, input };
  const first = forwardTrack(pass, recomputed ? 'drops' : 'keeps');
  const forward = recorder.cut();
  const back = new BackwardTrack(pass, outputGradient);
  back.begin();
  back.go(recomputed ? forwardTrack(pass, 'again') : first);
  const { inputGradient, weightGradients } = back;
  return {
    bytes: recorder.bytes,
    forward,
    backward: recorder.cut(),
    input,
    keepsInput: recomputed || saved.some(({ tensor }) => tensor?.name === 'x'),
    output: first.output,
    outputGradient,
    inputGradient,
    weightGradients,
    casts: first.casts,
  };
}
