import { resolve } from 'node:path';
import { AtelierError, toDate, type Generation } from '@atelier/contracts';
import { generationStatus, preempted } from '@atelier/jobs';
import type { Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { when } from '../output';
import { saveStream } from '../save';
import { outputFile } from './generate';

export function drawingsCommand(program: Command): void {
  const drawings = program
    .command('drawings')
    .summary('list, show, save, cancel and delete drawings')
    .description('Drawings, the newest first: those of "generate", of its --async and of the HTTP API.')
    .addHelpText(
      'after',
      '\nExamples:\n  atelier drawings\n  atelier drawings save gen-0k3v9x2m1abcdefgh -o heron.png',
    );
  drawings
    .command('list', { isDefault: true })
    .description('the newest 100 drawings')
    .addHelpText('after', '\nExamples:\n  atelier drawings list --json')
    .action(handle(list));
  drawings
    .command('show')
    .argument('<drawing>')
    .description('one drawing, with how far it is')
    .addHelpText('after', '\nExamples:\n  atelier drawings show gen-0k3v9x2m1abcdefgh')
    .action(handle(show));
  drawings
    .command('save')
    .argument('<drawing>')
    .description('writes the pictures of one that is finished')
    .option('-o, --output <file>', 'file to write; with several pictures a number is added (default: its id)')
    .addHelpText('after', '\nExamples:\n  atelier drawings save gen-0k3v9x2m1abcdefgh -o heron.png')
    .action(handle<{ output?: string }>(save));
  drawings
    .command('cancel')
    .argument('<drawing>')
    .description('asks one to end; one that is over stays as it is')
    .addHelpText('after', '\nExamples:\n  atelier drawings cancel gen-0k3v9x2m1abcdefgh')
    .action(handle(cancel));
  drawings
    .command('rm')
    .argument('<drawing>')
    .description('deletes one that is over, with its pictures')
    .addHelpText('after', '\nExamples:\n  atelier drawings rm gen-0k3v9x2m1abcdefgh')
    .action(handle(remove));
}

const view = ({ id, state, work, images, preemptions, cancelRequested, error }: Generation): object => ({
  id,
  status: generationStatus(state),
  prompt: work?.prompt ?? '',
  seed: work?.seed ?? 0,
  images,
  preemptions,
  cancel_requested: cancelRequested,
  error,
});

function list(context: Context): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const { drawings } = await client.generationPage({ limit: 100 });
    for (const drawing of drawings) out.object(view(drawing));
    out.table(
      ['DRAWING', 'STATUS', 'PICTURES', 'ASKED (UTC)', 'PROMPT'],
      drawings.map(({ id, state, images, work, createdAt }) => {
        const prompt = (work?.prompt ?? '').replace(/\s+/g, ' ').slice(0, 60);
        const pictures = `${images.length}/${work?.count ?? 0}`;
        return [id, generationStatus(state), pictures, when(toDate(createdAt)), prompt];
      }),
      'There are no drawings yet: draw with "atelier generate".',
    );
  });
}

function show(context: Context, _flags: object, id: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const drawing = await client.generation(id);
    const progress = await client.drawingProgress(drawing);
    const { work, state, images, error } = drawing;
    out.object({ ...view(drawing), step: progress?.step ?? null, total_steps: progress?.totalSteps ?? null });
    out.line(`drawing    ${id}`);
    const status = [generationStatus(state), preempted(drawing)].filter(Boolean).join(', ');
    out.line(`status     ${status}${error ? `: ${error}` : ''}`);
    if (progress) out.line(`step       ${progress.step} of ${progress.totalSteps}`);
    out.line(`size       ${work?.width ?? 0}x${work?.height ?? 0}, seed ${work?.seed ?? 0}`);
    out.line(`prompt     ${work?.prompt ?? ''}`);
    for (const image of images) out.line(`picture    ${image}`);
  });
}

function save(context: Context, { output }: { output?: string }, id: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const { state, images } = await client.generation(id);
    if (images.length === 0)
      throw new AtelierError('FAILED_PRECONDITION', `drawing ${id} is ${generationStatus(state)} and has no pictures`);
    const ending = images[0]!.split('.').at(-1);
    for (const [index, image] of images.entries()) {
      const file = outputFile(output ?? `${id}.${ending}`, index, images.length);
      await saveStream(await client.image(image), resolve(file));
      out.object({ type: 'image', file, index });
      out.line(file);
    }
  });
}

function cancel(context: Context, _flags: object, id: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const drawing = await client.cancelGeneration(id);
    out.object(view(drawing));
    out.line(
      `drawing ${id} is ${generationStatus(drawing.state)}${drawing.cancelRequested ? ', to be cancelled' : ''}`,
    );
  });
}

function remove(context: Context, _flags: object, id: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    if (!(await client.delete('drawing', id)))
      throw new AtelierError('NOT_FOUND', `there is no drawing ${id}: it was deleted, or never was`);
    out.object({ type: 'deleted', kind: 'drawing', id, deleted: true });
    out.line(`drawing ${id} is deleted`);
  });
}
