import { EventEmitter } from 'node:events';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { lastValueFrom, Subject, type Observable } from 'rxjs';
import { AdapterMemoryInterceptor } from '../src/access/adapter-memory.interceptor';
import { UploadInterceptor } from '../src/access/upload.interceptor';
import type { GatewayConfig } from '../src/gateway.config';

/** A request that is being handled until `ends`, and its connection. */
function asked(headers: Record<string, string> = {}) {
  const response = new EventEmitter();
  const is = (type: string) => headers['content-type']?.startsWith(type) ?? false;
  const http = { getRequest: () => ({ headers, is }), getResponse: () => response };
  const ends = new Subject<unknown>();
  return {
    context: { switchToHttp: () => http } as unknown as ExecutionContext,
    next: { handle: () => ends } as CallHandler,
    leave: () => response.emit('close'),
    end: () => ends.complete(),
    fail: () => ends.error(new Error('failed')),
  };
}

const follow = (answer: Observable<unknown>) => lastValueFrom(answer, { defaultValue: null }).catch(() => null);

test('an upload holds its place until its handler has ended, also when its client has left', async () => {
  const places = new UploadInterceptor({ uploads: 1 } as GatewayConfig);
  const first = asked();
  const answer = follow(places.intercept(first.context, first.next));
  first.leave();
  const second = asked();
  expect(() => places.intercept(second.context, second.next)).toThrow(/1 uploads are under way/);
  first.fail();
  await answer;
  const others = follow(places.intercept(second.context, second.next));
  second.end();
  await others;
});

test('an adapter holds its memory until its handler has ended, twice its length as a form', async () => {
  const memory = new AdapterMemoryInterceptor({ adapterLimit: 100 } as GatewayConfig);
  const form = asked({ 'content-length': '40', 'content-type': 'multipart/form-data; boundary=b' });
  const held = follow(await memory.intercept(form.context, form.next));
  const order: string[] = [];
  const file = asked({ 'content-length': '30' });
  const waits = memory.intercept(file.context, file.next).then((answer) => (order.push('file'), follow(answer)));
  const gone = asked({ 'content-length': '1' });
  const left = memory.intercept(gone.context, gone.next);
  gone.leave();
  await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
  form.leave();
  await new Promise(setImmediate);
  expect(order).toEqual([]);
  form.end();
  await held;
  file.end();
  await waits;
  expect(order).toEqual(['file']);
});
