import { appendFile, readFile } from 'node:fs/promises';
import { newToken, readTokens, SCOPES, tokenLine } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Command } from 'commander';
import { handle, type Context } from '../context';

interface Flags {
  scopes: string;
  file?: string;
}

export function tokenCommand(program: Command): void {
  program
    .command('token')
    .summary("make a token for the gateway's HTTP API")
    .argument('<name>', 'whose it is, for messages and limits')
    .description(
      'Makes a random token and the line that lets it in. The line belongs into the file that ATELIER_API_TOKENS_FILE names to the ' +
        'gateway, which reads it again when it changes; taken out, the token is refused. The token itself is kept nowhere: ' +
        `give it to whom it is for. Scopes: ${SCOPES.join(', ')}. Each stands for itself, so that who draws and looks at ` +
        'pictures needs read,draw; admin is all of them.',
    )
    .option('--scopes <list>', 'what it is for, with commas between', 'read')
    .option('--file <file>', 'add the line to this file, which is made where there is none')
    .addHelpText(
      'after',
      `
Examples:
  atelier token ci --scopes read,draw --file /etc/atelier/tokens
  atelier token dashboard
  atelier token ops --scopes admin --json`,
    )
    .action(handle<Flags, [name: string]>(token));
}

async function token({ out }: Context, { scopes, file }: Flags, name: string): Promise<void> {
  const made = newToken(name, scopes.split(','));
  const line = tokenLine(made.entry);
  if (file !== undefined) await addTo(file, line);
  out.object({ type: 'token', name, scopes: made.entry.scopes, token: made.token, line });
  out.note('The token, which is not shown again. Send it as "Authorization: Bearer <token>":');
  out.line(made.token);
  if (file === undefined) {
    out.note('The line for the file that ATELIER_API_TOKENS_FILE names:');
    out.line(line);
  } else out.note(`Its line is in ${file}.`);
}

/** A file that a gateway would refuse then stays as it is. */
async function addTo(file: string, line: string): Promise<void> {
  const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const added = `${before === '' || before.endsWith('\n') ? '' : '\n'}${line}\n`;
  try {
    readTokens(before + added);
  } catch (error) {
    throw new AtelierError('INVALID_ARGUMENT', `${file} would not be a file of tokens: ${(error as Error).message}`);
  }
  await appendFile(file, added, { mode: 0o600 });
}
