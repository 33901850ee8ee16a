import {
  AtelierError,
  DeliveryState,
  enumNames,
  toDate,
  WebhookState,
  type Delivery,
  type Webhook,
} from '@atelier/contracts';
import type { Command } from 'commander';
import { withClient } from '../connect';
import { handle, type Context } from '../context';
import { when } from '../output';

const webhookStates = enumNames(WebhookState, 'WEBHOOK_STATE');
const deliveryStates = enumNames(DeliveryState, 'DELIVERY_STATE');

export function webhooksCommand(program: Command): void {
  const webhooks = program
    .command('webhooks')
    .summary('have events sent to an address')
    .description(
      'Webhooks: where a gateway posts events, signed, and what became of each (docs/guides/events-and-webhooks.md).',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  atelier webhooks\n  atelier webhooks add https://example.com/atelier --type run.finished',
    );
  webhooks
    .command('list', { isDefault: true })
    .description('all webhooks, the newest first')
    .addHelpText('after', '\nExamples:\n  atelier webhooks list --json')
    .action(handle(list));
  webhooks
    .command('add')
    .argument('<url>')
    .description('sends events from now on; the secret that they are signed with is told here alone')
    .option('--type <type>', 'such as run.finished, or drawing.*; may be given several times (default: all)', another)
    .addHelpText(
      'after',
      "\nExamples:\n  atelier webhooks add https://example.com/atelier --type run.finished --type 'drawing.*'",
    )
    .action(handle<{ type?: string[] }>(add));
  webhooks
    .command('rm')
    .argument('<webhook>')
    .description('deletes one; what was not delivered by then is not')
    .addHelpText('after', '\nExamples:\n  atelier webhooks rm webhook-0k3v9x2m1abcdefgh')
    .action(handle(remove));
  webhooks
    .command('test')
    .argument('<webhook>')
    .description('sends a ping, as events are sent')
    .addHelpText('after', '\nExamples:\n  atelier webhooks test webhook-0k3v9x2m1abcdefgh')
    .action(handle(test));
  webhooks
    .command('deliveries')
    .argument('<webhook>')
    .description('what became of the events of the last 14 days, the newest first')
    .addHelpText('after', '\nExamples:\n  atelier webhooks deliveries webhook-0k3v9x2m1abcdefgh')
    .action(handle(deliveries));
  webhooks
    .command('replay')
    .argument('<webhook>')
    .argument('<delivery>', 'its number')
    .description('sends an event once more, under its former id')
    .addHelpText('after', '\nExamples:\n  atelier webhooks replay webhook-0k3v9x2m1abcdefgh 1234')
    .action(handle<object, [webhook: string, delivery: string]>(replay));
}

const another = (type: string, others: string[] = []): string[] => [...others, type];

const view = ({ id, url, types, state, reason }: Webhook): object => ({
  id,
  url,
  types,
  status: webhookStates.read(state),
  reason,
});

function list(context: Context): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const webhooks = await client.webhooks.list();
    for (const webhook of webhooks) out.object(view(webhook));
    out.table(
      ['WEBHOOK', 'ADDRESS', 'TYPES', 'STATUS', 'SINCE (UTC)'],
      webhooks.map(({ id, url, types, state, reason, createdAt }) => {
        const status = [webhookStates.read(state), reason].filter(Boolean).join(': ');
        return [id, url, types.join(',') || 'all', status, when(toDate(createdAt))];
      }),
      'There are no webhooks: add one with "atelier webhooks add".',
    );
  });
}

function add(context: Context, { type }: { type?: string[] }, url: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const webhook = await client.webhooks.create({ url, types: type });
    out.object({ ...view(webhook), secret: webhook.secret });
    out.line(`webhook  ${webhook.id}`);
    out.line(`secret   ${webhook.secret}  (it is not told again)`);
  });
}

function remove(context: Context, _flags: object, id: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    if (!(await client.webhooks.delete(id)))
      throw new AtelierError('NOT_FOUND', `there is no webhook ${id}: list them`);
    out.object({ type: 'deleted', kind: 'webhook', id, deleted: true });
    out.line(`webhook ${id} is deleted`);
  });
}

function test(context: Context, _flags: object, id: string): Promise<void> {
  return withClient(context, {}, async (client) => {
    await client.webhooks.test(id);
    context.out.line(`a ping is on its way: see "atelier webhooks deliveries ${id}"`);
  });
}

function deliveries(context: Context, _flags: object, id: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const found = await client.webhooks.deliveries(id);
    for (const delivery of found) out.object(viewDelivery(delivery));
    out.table(
      ['DELIVERY', 'TYPE', 'SUBJECT', 'STATUS', 'TRIES', 'ANSWER', 'LAST TRY (UTC)'],
      found.map(({ sequence, type, subject, state, tries, status, error, triedAt }) => {
        const answer = [status || '', error].filter(Boolean).join(' ');
        return [
          String(sequence),
          type,
          subject,
          deliveryStates.read(state) ?? '',
          String(tries),
          answer,
          when(toDate(triedAt)),
        ];
      }),
      'Nothing was delivered yet.',
    );
  });
}

function replay(context: Context, _flags: object, id: string, delivery: string): Promise<void> {
  const { out } = context;
  return withClient(context, {}, async (client) => {
    const asked = await client.webhooks.replay(id, Number(delivery));
    out.object(viewDelivery(asked));
    out.line(`${asked.type} of ${asked.subject} is sent once more`);
  });
}

const viewDelivery = ({ sequence, messageId, type, subject, state, tries, status, error }: Delivery): object => ({
  id: sequence,
  message: messageId,
  type,
  subject,
  status: deliveryStates.read(state),
  tries,
  http_status: status || null,
  error,
});
