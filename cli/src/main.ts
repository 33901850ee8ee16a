import { CommanderError } from 'commander';
import { EXIT } from './exit-codes';
import { Interrupt } from './interrupt';
import { Output } from './output';
import { createProgram } from './program';

/** A command that is done but for a handle someone forgot does not keep a person waiting. */
const LINGER_MS = 3000;

/** The process: runs the command line and ends with its exit code. */
export async function start(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', () => Interrupt.readerLeft()); // of `atelier runs | head`, or of a terminal that was closed
  process.stderr.on('error', () => undefined);
  await main(argv);
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

/** Runs the command line. The result is the process's exit code; nothing is thrown. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    const program = createProgram();
    if (argv.length === 0) program.help({ error: true });
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : usage(error, argv);
    else process.exitCode = new Output(false).error(error);
  }
}

/** Commander has said what is wrong; scripts get it in their form too. */
function usage({ message }: CommanderError, argv: readonly string[]): number {
  new Output(argv.includes('--json')).object({
    type: 'error',
    code: 'INVALID_ARGUMENT',
    message: message.replace(/^error: /, ''),
  });
  return EXIT.usage;
}
