import { meshUsers, type MeshUser } from '@atelier/contracts';
import type { PublicKeys } from './keys';
import { permissionsOf, type Permissions } from './permissions';

/** The environment variable of nats-server that has a user's public key, where its configuration is the same for all. */
export const keyVariable = (user: MeshUser): string => `NATS_USER_${user.toUpperCase()}`;

/** A question that is answered later than this is not waited for any more. */
const ANSWERED_WITHIN = '5m';

/**
 * The part of nats-server's configuration that says who may do what: everybody else is refused. Valid since 2.9.
 * @param keys without them each key comes from the server's environment: keyVariable
 */
export function usersConfig(keys?: PublicKeys): string {
  const users = meshUsers.map((user) => {
    const key = keys ? `"${keys[user]}"` : `$${keyVariable(user)}`;
    const permissions = permissionsOf(user);
    return [`    # ${user}`, '    {', `      nkey: ${key}`, ...(permissions ? allowed(permissions) : []), '    }'];
  });
  return ['authorization {', '  users: [', ...users.flat(), '  ]', '}', ''].join('\n');
}

function allowed({ publish, subscribe }: Permissions): string[] {
  const list = (subjects: string[]): string[] => subjects.map((subject) => `          "${subject}"`);
  return [
    '      permissions: {',
    '        publish: { allow: [',
    ...list(publish),
    '        ] }',
    '        subscribe: { allow: [',
    ...list(subscribe),
    '        ] }',
    `        allow_responses: { max: 1, expires: "${ANSWERED_WITHIN}" }`,
    '      }',
  ];
}
