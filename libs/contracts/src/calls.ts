// The calls that services answer: where each is asked, with what, and what comes back. The only place where they are spelled.
import {
  MemoryPlan,
  PlanRequest,
  StatusReply,
  StatusRequest,
  StoreReply,
  StoreRequest,
  type IMemoryPlan,
  type IPlanRequest,
  type IStatusReply,
  type IStatusRequest,
  type IStoreReply,
  type IStoreRequest,
} from './messages';
import { subjects } from './names';

interface Codec<Written, Read> {
  encode(message: Written): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Read;
}

/** One call: a request that a service answers with a reply. Written are the messages' plain interfaces, read the classes. */
export interface Call<RequestIn, Request, ReplyIn, Reply> {
  /** Who answers it, as people know it. */
  readonly service: string;
  readonly subject: string;
  readonly request: Codec<RequestIn, Request>;
  readonly reply: Codec<ReplyIn, Reply>;
}

function call<RequestIn, Request, ReplyIn, Reply>(
  service: string,
  method: string,
  request: Codec<RequestIn, Request>,
  reply: Codec<ReplyIn, Reply>,
): Call<RequestIn, Request, ReplyIn, Reply> {
  return { service, subject: subjects.rpc(service, method), request, reply };
}

export const calls = {
  /** How a service is; each answers for itself. */
  status: (service: string) =>
    call<IStatusRequest, StatusRequest, IStatusReply, StatusReply>(service, 'status', StatusRequest, StatusReply),
  /** Memory of a run, before it starts. */
  plan: call<IPlanRequest, PlanRequest, IMemoryPlan, MemoryPlan>('trainer', 'plan', PlanRequest, MemoryPlan),
  /** What nats-server's disk has: whoever started it says so. */
  room: call<IStoreRequest, StoreRequest, IStoreReply, StoreReply>('store', 'room', StoreRequest, StoreReply),
} as const;
