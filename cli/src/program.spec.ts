import type { Command } from 'commander';
import { EXIT } from './exit-codes';
import { createProgram, usageError } from './program';
import { SETTINGS } from './settings';

/** Every command with the words that lead to it. */
function all(command: Command, words: string[] = []): [string, Command][] {
  return [
    [words.join(' ') || 'atelier', command],
    ...command.commands.flatMap((child) => all(child, [...words, child.name()])),
  ];
}

/** What --help writes, the texts after the options included. */
function help(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

describe('program', () => {
  const commands = all(createProgram());

  test('the commands are there', () => {
    expect(commands.map(([words]) => words)).toEqual([
      'atelier',
      'up',
      'finetune',
      'generate',
      'runs',
      'runs list',
      'runs show',
      'runs follow',
      'runs cancel',
      'runs pause',
      'runs resume',
      'runs priority',
      'runs adapters',
      'runs pictures',
      'datasets',
      'datasets list',
      'datasets show',
      'datasets add',
      'datasets cancel',
      'datasets rename',
      'adapters',
      'adapters list',
      'adapters show',
      'adapters download',
      'adapters import',
      'adapters rename',
      'adapters kohya',
      'drawings',
      'drawings list',
      'drawings show',
      'drawings save',
      'drawings cancel',
      'drawings rm',
      'events',
      'webhooks',
      'webhooks list',
      'webhooks add',
      'webhooks rm',
      'webhooks test',
      'webhooks deliveries',
      'webhooks replay',
      'rm',
      'store',
      'gc',
      'token',
      'plan',
      'model',
      'model pull',
      'model inspect',
      'doctor',
      'nats-users',
      'provision',
    ]);
  });

  test.each(commands)('%s - its help has an example of it, and describes every option', (words, command) => {
    const text = help(command);
    expect(text).toMatch(
      new RegExp(`Examples:\\n(.*\\n)*?.*atelier ${words === 'atelier' ? '' : words.replace(' list', '')}`),
    );
    expect(command.description()).not.toBe('');
    for (const option of command.options) expect([option.flags, option.description]).not.toEqual([option.flags, '']);
  });

  test('the help of the whole tells every exit code and every setting', () => {
    const text = help(createProgram());
    for (const code of Object.values(EXIT)) expect(text).toMatch(new RegExp(`\\n  ${code}  \\w`));
    for (const { name } of SETTINGS) expect(text).toContain(name);
  });

  test('examples in the help are accepted as they stand', async () => {
    const examples = commands.flatMap(([, command]) =>
      help(command)
        .split('\n')
        .filter((line) => /^ {2}(\w+=\S+ )?atelier /.test(line)),
    );
    expect(examples.length).toBeGreaterThan(20);
    for (const example of examples) {
      const words = (example.replace(/^.*?atelier /, '').match(/"[^"]*"|\S+/g) ?? []).map((word) =>
        word.replace(/^"|"$/g, ''),
      );
      const program = createProgram();
      let reached = '';
      for (const [path, command] of all(program))
        if (command.commands.length === 0) command.action(() => void (reached = path));
      await program.parseAsync(words, { from: 'user' });
      expect([example, reached]).not.toEqual([example, '']);
    }
  });

  test('a complaint of the parser is one line with the way to the help', () => {
    expect(usageError("error: unknown option '--stepps'\n(Did you mean --steps?)\n")).toBe(
      "atelier: unknown option '--stepps' (Did you mean --steps?) See --help",
    );
  });
});
