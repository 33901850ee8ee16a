import { Injectable, Logger, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { AtelierError, KeyedRequest, type IKeptAnswer } from '@atelier/contracts';
import { Mesh } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import type { Request, Response } from 'express';
import { catchError, from, mergeMap, of, tap, type Observable } from 'rxjs';
import { FormReader } from '../datasets/form-reader';
import { GatewayConfig } from '../gateway.config';
import { httpError, PayloadTooLarge } from '../http-error';
import { openBody } from '../request-body';
import { bodyDigest, digestBody, entryOf, fingerprintOf, idempotencyKey } from './key';
import { KeyedRequests, type Claim } from './keyed-requests';
import { noteKeyed } from './once';

const METHODS = new Set(['POST', 'PUT', 'PATCH']);
const KEPT_HEADERS = ['location', 'x-atelier-generation', 'preference-applied'];
/** Larger ones are made again from what they are about: pictures in base64. */
const LARGEST_ANSWER = 256 * 1024;
const ALIVE_MS = 5000;
const RETRY_SECONDS = 2;

/** The key is another request's: a slip of the client's, which no retry mends. */
class KeyReused extends AtelierError {
  readonly status = 422;

  constructor() {
    super(
      'INVALID_ARGUMENT',
      'this Idempotency-Key was used within a day for another request: give each request a key of its own, and ' +
        'repeat a request with everything as it was',
    );
  }
}

/**
 * Requests with an Idempotency-Key: what was done is not done again, and its answer is given once more
 * (docs/decisions/0052).
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  private readonly logger = new Logger('gateway');
  private readonly requests: KeyedRequests;

  constructor(
    mesh: Mesh,
    private readonly config: GatewayConfig,
  ) {
    this.requests = new KeyedRequests(new StateStore(mesh, 'idempotency', KeyedRequest));
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> | Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<Request>();
    const key = METHODS.has(request.method) ? idempotencyKey(request) : undefined;
    if (key === undefined) return next.handle();
    return this.once(entryOf(request, key), request, context.switchToHttp().getResponse<Response>(), next);
  }

  private async once(
    entry: string,
    request: Request,
    response: Response,
    next: CallHandler,
  ): Promise<Observable<unknown>> {
    const claim = await this.requests.claim(entry, fingerprintOf(request));
    if (claim.is === 'ours') return this.first(entry, claim, request, response, next);
    if (claim.is === 'answered') return this.again(entry, claim, request, response, next);
    openBody(request, Infinity, () => new PayloadTooLarge('')).release();
    if (claim.is === 'another') throw new KeyReused();
    response.setHeader('retry-after', RETRY_SECONDS);
    throw new AtelierError(
      'ABORTED',
      'a request with this Idempotency-Key is being done at this moment: ask again in a while for its answer',
    );
  }

  private first(
    entry: string,
    { firstAt, holder }: Extract<Claim, { is: 'ours' }>,
    request: Request,
    response: Response,
    next: CallHandler,
  ): Observable<unknown> {
    noteKeyed(request, { entry, firstAt, done: false });
    const digest = digestBody(request);
    const alive = setInterval(() => void this.noted(this.requests.alive(entry, holder)), ALIVE_MS).unref();
    return next.handle().pipe(
      mergeMap(async (value: unknown) => {
        clearInterval(alive);
        await this.noted(this.requests.answered(entry, holder, keptAnswer(value, response), digest.digest('hex')));
        return value;
      }),
      catchError((error: unknown) => {
        clearInterval(alive);
        return from(this.unanswered(entry, holder, error)).pipe(
          tap(() => {
            throw error;
          }),
        );
      }),
    );
  }

  /** A refusal is not kept: what it was for may have changed, and nothing was done. */
  private unanswered(entry: string, holder: string, error: unknown): Promise<void> {
    const { status } = httpError(error, '');
    const mayHaveDone = status >= 499;
    return this.noted(mayHaveDone ? this.requests.putDown(entry, holder) : this.requests.refused(entry, holder));
  }

  private async again(
    entry: string,
    { firstAt, answer, bodyDigest: expected }: Extract<Claim, { is: 'answered' }>,
    request: Request,
    response: Response,
    next: CallHandler,
  ): Promise<Observable<unknown>> {
    const given = digestBody(request);
    await this.readBody(request);
    if (given.digest('hex') !== expected) throw new KeyReused();
    response.setHeader('idempotent-replayed', 'true');
    if (answer.tooLarge) {
      noteKeyed(request, { entry, firstAt, done: true });
      return next.handle();
    }
    response.status(answer.status ?? 200).set(answer.headers ?? {});
    return of(JSON.parse(answer.body ?? 'null'));
  }

  /** To compare it. A form is compared by its parts: each try of a browser has another boundary. */
  private async readBody(request: Request): Promise<void> {
    if (request.readableEnded) return; // JSON, which is in the fingerprint
    const tooLarge = (): PayloadTooLarge => new PayloadTooLarge('the body is over the limit');
    const { bytes, release } = openBody(request, this.config.uploadTotalLimit, tooLarge);
    const digest = bodyDigest(request);
    try {
      if (!/^multipart\/form-data/i.test(request.headers['content-type'] ?? '')) {
        for await (const chunk of bytes as AsyncIterable<Buffer>) digest?.update(chunk);
        return;
      }
      const form = new FormReader(bytes, request.headers['content-type'], digest);
      while (await form.next());
    } catch (error) {
      release();
      throw error;
    }
  }

  /** The request is what counts: where its note fails, a retry finds what it made by its id. */
  private async noted(note: Promise<void>): Promise<void> {
    await note.catch((error: Error) => this.logger.warn(`an Idempotency-Key could not be noted: ${error.message}`));
  }
}

function keptAnswer(value: unknown, response: Response): IKeptAnswer {
  const body = JSON.stringify(value ?? null);
  const headers = Object.fromEntries(
    KEPT_HEADERS.flatMap((name) => (response.hasHeader(name) ? [[name, String(response.getHeader(name))]] : [])),
  );
  const tooLarge = Buffer.byteLength(body) > LARGEST_ANSWER;
  return { status: response.statusCode, headers, body: tooLarge ? '' : body, tooLarge };
}
