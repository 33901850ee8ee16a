// Keeps deploy's part of nats-server's configuration in step with what contracts say of each service.
// node tools/nats-users.mjs says whether it differs; --write mends it. After a build.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { usersConfig } = createRequire(import.meta.url)('@atelier/mesh');
const file = join(dirname(fileURLToPath(import.meta.url)), '..', 'deploy', 'k8s', 'base', 'nats', 'users.conf');
const HEAD = '# Written by "node tools/nats-users.mjs --write" of libs/contracts/src/rights.ts.\n';
const wanted = HEAD + usersConfig();

if (process.argv.includes('--write')) writeFileSync(file, wanted);
const same = readFileSync(file, 'utf8') === wanted;
console.log(same ? 'nats-users: agree with contracts' : 'nats-users: run "node tools/nats-users.mjs --write"');
process.exit(same ? 0 : 1);
