// The mesh's specs against nats-server in containers, where an engine answers (Docker's socket or podman's): the image that deploy/ runs,
// and this project's own where it was built (docker build -f deploy/docker/Dockerfile -t atelier .). Nothing is left out in silence.
// node tools/test/containers.mjs PROJECT; --show tells what it would use. ATELIER_TEST_NATS_IMAGE: this image, and no other.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { root } from '../workspace.mjs';
import { forgetResult, readResult, writeResult } from './results.mjs';

const SPECS = ['libs/mesh/test', 'libs/testing/test'];
const OWN_IMAGE = 'atelier';
const PULL_MS = 180_000;

/** @returns the status and body of the engine's answer; status 0 where nobody answers */
function ask(socketPath, method, path, timeout = 3000) {
  return new Promise((resolve) => {
    const asked = request({ socketPath, method, path, timeout }, (response) => {
      let body = '';
      response.on('data', (data) => (body += data));
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve({ status: 0, body: '' }));
    asked.end();
  });
}

async function findSocket() {
  const given = process.env.DOCKER_HOST?.replace(/^unix:\/\//, '');
  const runtime = process.env.XDG_RUNTIME_DIR;
  const usual = ['/var/run/docker.sock', runtime && join(runtime, 'podman', 'podman.sock'), '/run/podman/podman.sock'];
  for (const socket of given ? [given] : usual.filter(Boolean)) {
    if (existsSync(socket) && (await ask(socket, 'GET', '/_ping')).status === 200) return socket;
  }
  return undefined;
}

/** The id of an image that the engine has, pulled when `pull` says so. */
async function imageId(socket, image, pull) {
  const path = `/v1.40/images/${encodeURIComponent(image)}/json`;
  const there = await ask(socket, 'GET', path);
  if (there.status === 200) return JSON.parse(there.body).Id;
  if (!pull) return undefined;
  const [name, tag] = image.split(':');
  await ask(
    socket,
    'POST',
    `/v1.40/images/create?fromImage=${encodeURIComponent(name)}&tag=${tag ?? 'latest'}`,
    PULL_MS,
  );
  return imageId(socket, image, false);
}

function pinnedImage() {
  const image = /^\s*image: (nats:\S+)$/m.exec(readFileSync(join(root, 'deploy', 'compose.yaml'), 'utf8'))?.[1];
  if (!image) throw new Error('deploy/compose.yaml names no image nats:<version>');
  return image;
}

const socket = await findSocket();
const given = process.env.ATELIER_TEST_NATS_IMAGE;
const [project] = process.argv.slice(2);
if (project === '--show') {
  const names = given ? [given] : [pinnedImage(), OWN_IMAGE];
  const ids = socket ? await Promise.all(names.map((name) => imageId(socket, name, false))) : [];
  console.log(socket ?? 'no engine', ...ids);
  process.exit();
}

const TARGET = 'test';
const total = { passed: 0, failed: 0, lost: [], failures: [], unsteady: [] };
forgetResult(project, TARGET);

function runSpecs(image) {
  console.log(`containers: the mesh's specs on ${image}`);
  const [first, ...others] = SPECS;
  const args = [
    join('tools', 'test', 'jest.mjs'),
    `${project}-run`,
    first,
    ...others.flatMap((folder) => ['--roots', join(root, folder)]),
  ];
  const env = { ...process.env, DOCKER_HOST: `unix://${socket}`, ATELIER_TEST_NATS_IMAGE: image };
  spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env });
  const result = readResult(`${project}-run`, TARGET) ?? { passed: 0, failed: 1, lost: [], failures: [], unsteady: [] };
  forgetResult(`${project}-run`, TARGET);
  for (const key of ['passed', 'failed']) total[key] += result[key];
  total.lost.push(...result.lost.map((name) => `${name} on ${image}`));
  for (const key of ['failures', 'unsteady'])
    total[key].push(...result[key].map((each) => ({ ...each, title: `${each.title}, on ${image}` })));
}

if (!socket) {
  const where = "no container engine answers (Docker's socket or podman's)";
  console.log(`containers: ${where}: the mesh's specs ran on the installed nats-server only`);
  if (given) total.failed += 1;
} else if (given) {
  runSpecs(given);
} else {
  const pinned = pinnedImage();
  if (await imageId(socket, pinned, true)) runSpecs(pinned);
  else console.log(`containers: ${pinned} is not here and could not be pulled: left out`);
  if (await imageId(socket, OWN_IMAGE, false)) runSpecs(OWN_IMAGE);
  else
    console.log(
      `containers: this project's image was not built here (docker build -f deploy/docker/Dockerfile -t ${OWN_IMAGE} .): left out`,
    );
}
writeResult(project, TARGET, total);
process.exit(total.failed === 0 ? 0 : 1);
