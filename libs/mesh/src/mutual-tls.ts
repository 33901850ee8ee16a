// A nats-server that asks for certificates refuses one after the handshake, as TLS 1.3 has it: by then the client believes
// itself connected, loses the reason, and waits for an answer for 20 s. So it is tried before.
import { AtelierError } from '@atelier/contracts';
import { readFileSync } from 'node:fs';
import { connect, isIP, type Socket } from 'node:net';
import { connect as secure } from 'node:tls';
import type { Credentials } from './credentials';

/** Who does not say anything for so long is left to the client. */
const ANSWER_MS = 2000;
const LONGEST_INFO = 64 * 1024;
/** It answers to that, or refuses it: then who we are is its matter, and no longer TLS's. */
const HELLO = 'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n';

/** Rejects with why the certificate that is shown, or that there is none, is refused; all else the client finds out. */
export async function tryMutualTls(url: string, credentials: Credentials): Promise<void> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^(nats|tls):$/.test(parsed.protocol)) return;
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect(Number(parsed.port || 4222), host);
  try {
    if (await asksForCertificate(socket)) await show(socket, host, credentials);
  } finally {
    socket.destroy();
  }
}

/** As the first line says that nats-server sends; one that begins with TLS, or that is not there, says none. */
function asksForCertificate(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    let text = '';
    const no = (): void => resolve(false);
    socket.setTimeout(ANSWER_MS, no).on('error', no).on('close', no);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\n') && text.length < LONGEST_INFO) return;
      socket.removeAllListeners('data').pause();
      resolve(/^INFO .*"tls_verify":true/.test(text));
    });
  });
}

function show(socket: Socket, host: string, { tlsCa, tlsCert, tlsKey }: Credentials): Promise<void> {
  const [ca, cert, key] = [tlsCa, tlsCert, tlsKey].map((file) => file && readFileSync(file));
  return new Promise((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException): void => {
      if (/ALERT/.test(error.code ?? '')) reject(certificateRefused(error, tlsCert));
      else resolve(); // such as its own certificate, which the client judges as well
    };
    const done = (): void => resolve();
    const servername = isIP(host) ? undefined : host;
    const secured = secure({ socket, servername, ca, cert, key }).setTimeout(ANSWER_MS, done);
    secured.on('error', refused).on('data', done).on('close', done).write(HELLO);
  });
}

function certificateRefused(cause: Error, shown?: string): AtelierError {
  const what = shown
    ? `refuses the certificate in ${shown} (ATELIER_NATS_TLS_CERT): set one that an authority which it trusts has signed`
    : 'wants to be shown a certificate: set ATELIER_NATS_TLS_CERT and ATELIER_NATS_TLS_KEY';
  return new AtelierError('UNAUTHENTICATED', what, {}, { cause });
}
