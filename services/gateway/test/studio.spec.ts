import { recipes, StatusReply, trainOptionsJson, trainOptionSpecs } from '@atelier/contracts';
import { JSDOM } from 'jsdom';
import { playServices } from './fake-services';
import { startGateway, type TestGateway } from './harness';

const TOKEN = 'a-secret-token';

/** The studio page as a browser would have it, except that jsdom runs its script: served, fetched and answered by a live gateway. */
describe('the studio page', () => {
  let gateway: TestGateway;
  let services: { stop(): Promise<void> };
  let page: JSDOM;
  let breakNextStream = false;
  let loseAnswers = 0;
  const keysOf = new Map<string, string[]>();
  const problems: unknown[] = [];

  beforeAll(async () => {
    gateway = await startGateway({ ATELIER_API_TOKEN: TOKEN });
    services = playServices(gateway.mesh);
    page = await openPage();
  });
  afterAll(async () => {
    page?.window.close();
    await services?.stop();
    await gateway?.stop();
  });

  async function openPage(): Promise<JSDOM> {
    const html = await (await fetch(`${gateway.url}/`)).text();
    const dom = new JSDOM(html, { url: `${gateway.url}/`, runScripts: 'outside-only' });
    const { window } = dom;
    window.sessionStorage.setItem('atelier-token', TOKEN);
    // What jsdom lacks, from Node; the page's own addresses are relative.
    Object.assign(window, {
      fetch: async (path: string, options?: RequestInit) => {
        const key = new Headers(options?.headers).get('idempotency-key');
        if (key) keysOf.set(path, [...(keysOf.get(path) ?? []), key]);
        const response = await fetch(new URL(path, gateway.url), options);
        if (key && loseAnswers-- > 0) throw new TypeError('Failed to fetch');
        return path.endsWith('/events') && breakNextStream ? brokenOff(response) : response;
      },
      FormData,
      AbortController,
      TextDecoderStream,
    });
    window.URL.createObjectURL = () => 'blob:picture';
    const sources = [...window.document.querySelectorAll('script')].map((script) => script.src);
    for (const source of sources) {
      const response = await fetch(source);
      expect(response.headers.get('content-type')).toContain('javascript');
      await (window.eval(`(async () => {${await response.text()}\n})()`) as Promise<void>);
    }
    window.addEventListener('error', (event) => problems.push(event.error));
    return dom;
  }

  /** The answer as it is when the gateway goes away after the first step. */
  async function brokenOff(response: Response): Promise<Response> {
    breakNextStream = false;
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (/"type":"step".*\n\n/.test(text)) break;
    }
    return new Response(text.slice(0, text.indexOf('\n\n', text.indexOf('"type":"step"')) + 2));
  }

  // The page's elements are happy-dom's own, which are not the types of a browser's.
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- says which element is expected, as querySelector's does
  const find = <T extends Element = HTMLElement>(selector: string): T =>
    page.window.document.querySelector(selector) as unknown as T;
  const submit = (form: string) =>
    find<HTMLFormElement>(form).requestSubmit(find<HTMLButtonElement>(`${form} button:not([type])`));
  const fill = (form: string, values: Record<string, string>) => {
    for (const [name, value] of Object.entries(values)) find<HTMLInputElement>(`${form} [name=${name}]`).value = value;
  };

  async function asked(path: string): Promise<unknown> {
    return (await fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${TOKEN}` } })).json();
  }

  async function shows(selector: string, text: RegExp): Promise<void> {
    for (let tries = 0; tries < 100 && !text.test(find(selector)?.textContent ?? ''); tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(`${find(selector)?.textContent} (the page says: ${find('#message')?.textContent})`).toMatch(text);
  }

  test('pictures go up, and what was found in them is listed', async () => {
    const files = [
      new File(['pixels'], 'a.png', { type: 'image/png' }),
      new File(['a heron'], 'a.txt', { type: 'text/plain' }),
    ];
    Object.defineProperty(find('#files'), 'files', { value: files });
    fill('#dataset-form', { name: 'my-style', trigger: 'sks', width: '64', height: '64' });
    submit('#dataset-form');
    await shows('#message', /my-style is being read/);
    await shows('#datasets', /my-style: 1 of 2 pictures; 1 left outingested/);
  });

  test('a fine-tune is started, followed with its curve and validation picture, and ends', async () => {
    await shows('#run-form select', /^my-style/);
    await shows('#run-form', /Rank/);
    fill('#run-form', { name: 'my-style', total_steps: '4', rank: '2', learning_rate: '0.001' });
    fill('#run-form', { held_out: '0.5' });
    fill('#run-form', { optimizer: 'adamw', adam_epsilon: '1e-6', validation_prompts: 'a heron\n\n a pond ' });
    find<HTMLInputElement>('#run-form [name=recompute]').checked = false;
    submit('#run-form');
    await shows('#run-caption', /my-style: finished, 4 steps, loss 0\.2500/);
    expect(find('#cancel').hidden).toBe(true);
    expect(find('#loss').getAttribute('points')?.split(' ')).toHaveLength(4);
    expect(find('#loss-held-out').getAttribute('points')?.split(' ')).toHaveLength(2);
    expect(find<HTMLProgressElement>('#run-progress').value).toBe(1);
    await shows('#samples', /step 4: a heron/);
    const { data } = (await asked('/v1/finetunes')) as { data: { options: object }[] };
    const chosen = {
      total_steps: 4,
      rank: 2,
      learning_rate: 1e-3,
      optimizer: 'adamw',
      adam_epsilon: 1e-6,
      recompute: false,
    };
    const drawn = { validation_prompts: ['a heron', 'a pond'], validate_every: 1 };
    expect(data[0]?.options).toEqual({ ...trainOptionsJson(null), held_out: 0.5, ...chosen, ...drawn, alpha: 2 });
    await shows('#runs', /step 4 of 4finished, preempted 3×download/);
  });

  test('each training option has a field with its default, its limits and its help, and can be set back', async () => {
    const { document } = page.window;
    const fields = trainOptionSpecs.map(({ name }) => find<HTMLInputElement>(`#run-form [name=${name}]`));
    expect(fields.every(Boolean)).toBe(true);
    expect(find('#run-form label:has([name=warmup_steps])').textContent).toMatch(
      /^Warmup steps \(optimizer steps\)Steps until the peak/,
    );
    expect(fields.find(({ name }) => name === 'lr_power')).toMatchObject({ type: 'number', min: '0', max: '100' });
    expect(document.querySelectorAll('#run-form details [name=rank]')).toHaveLength(0);
    find<HTMLButtonElement>('#run-form details button').click();
    const values = Object.fromEntries(
      fields.map(({ name, type, checked, value }) => [name, type === 'checkbox' ? checked : value]),
    );
    const usual = trainOptionSpecs.map(({ name, kind, default: value = '' }) => {
      const text = Array.isArray(value) ? value.join('\n') : String(value);
      return [name, kind === 'boolean' ? value : text];
    });
    expect(values).toEqual(Object.fromEntries(usual));
  });

  test('a recipe fills in what it sets, but for what a person has set, and is sent with that alone', () => {
    const field = (name: string) => find<HTMLInputElement>(`#run-form [name=${name}]`);
    fill('#run-form', { rank: '9', total_steps: '40' });
    field('recipe').value = 'style';
    field('recipe').dispatchEvent(new page.window.Event('change'));
    const { options } = recipes.style;
    expect([field('rank').value, field('total_steps').value]).toEqual(['9', '40']);
    expect(field('targets').value.split('\n')).toEqual(options.targets);
    expect(field('timestep_sampling').value).toBe('sigmoid');
    expect(find('#run-form .recipe').textContent).toMatch(/^A manner of drawing.* It sets rank 16; targets to_q, /);
    const chosen = (find('#options') as unknown as { chosen: object }).chosen;
    expect(chosen).toEqual({ recipe: 'style', rank: 9, total_steps: 40 });
    find<HTMLButtonElement>('#run-form details button').click();
    expect([field('recipe').value, field('rank').value, field('lr_schedule').value]).toEqual(['seed', '4', 'constant']);
    expect((find('#options') as unknown as { chosen: object }).chosen).toEqual({});
  });

  test('opened anew, it shows the newest run; a stream that breaks is taken up again where it broke', async () => {
    page.window.close();
    breakNextStream = true;
    page = await openPage();
    await shows('#run-caption', /my-style: finished, 4 steps/);
    expect(breakNextStream).toBe(false);
    expect(find('#loss').getAttribute('points')?.split(' ')).toHaveLength(4);
  });

  test('a picture is drawn without and with the new adapter', async () => {
    await shows('#draw-form select', /my-style/);
    fill('#draw-form', { prompt: 'a heron', adapter: 'my-style', size: '64x64', steps: '2', seed: '0' });
    submit('#draw-form');
    await shows('#pictures', /base model.*my-style/);
    expect(find<HTMLImageElement>('#pictures img').src).toMatch(/^data:image\/png;base64,.+/);
  });

  test('what changes something is asked under a key of its own, by which a lost answer is asked for again', async () => {
    const path = '/v1/images/generations';
    const drawings = async () => ((await asked(path)) as { data: unknown[] }).data.length;
    const all = [...keysOf.values()].flat();
    expect([keysOf.get(path)?.length, new Set(all).size]).toEqual([2, all.length]);
    const { window } = page;
    const timer = window.setTimeout.bind(window);
    Object.assign(window, { setTimeout: (work: () => void, ms: number) => timer(work, ms / 50) });
    const draw = async (lost: number): Promise<string[]> => {
      const before = keysOf.get(path)!.length;
      loseAnswers = lost;
      submit('#draw-form');
      const button = find<HTMLButtonElement>('#draw-form button:not([type])');
      while (button.disabled) await new Promise((resolve) => setTimeout(resolve, 10));
      return keysOf.get(path)!.slice(before);
    };
    fill('#draw-form', { prompt: 'a pond', adapter: '', size: '64x64', steps: '2', seed: '7' });
    const before = await drawings();
    const thrice = await draw(2);
    expect([thrice.length, new Set(thrice).size, await drawings()]).toEqual([3, 1, before + 1]);
    const givenUp = await draw(5);
    await shows('#message', /Failed to fetch/);
    const byTheButton = await draw(0);
    expect(new Set([...givenUp, ...byTheButton]).size).toBe(1);
    expect([byTheButton.length, await drawings()]).toEqual([1, before + 2]);
    Object.assign(window, { setTimeout: timer });
  });

  test('a refusal is shown in words', async () => {
    fill('#draw-form', { size: '100x100' });
    submit('#draw-form');
    await shows('#message', /both sides must be multiples of 16/);
    expect(problems).toEqual([]);
  });

  test('a data set that is being read can be cancelled', async () => {
    await services.stop(); // so that it stays unread
    Object.defineProperty(find('#files'), 'files', { value: [new File(['pixels'], 'a.png', { type: 'image/png' })] });
    fill('#dataset-form', { name: 'unwanted', width: '64', height: '64' });
    submit('#dataset-form');
    await shows('#datasets', /unwanted: 1 file, being readuploadedcanceldelete/);
    find<HTMLButtonElement>('#datasets button').click();
    await shows('#datasets', /unwanted: 0 picturescancelled/);
    expect(find('#run-form select').textContent).not.toContain('unwanted');
    expect(problems).toEqual([]);
  });

  test('what is not needed any more is deleted, once that was confirmed', async () => {
    const button = (list: string): HTMLButtonElement => find<HTMLButtonElement>(`${list} .delete`);
    const asked: string[] = [];
    const confirm = (answer: boolean): void =>
      void Object.assign(page.window, { confirm: (text: string) => (asked.push(text), answer) });
    const before = find('#runs').textContent;
    confirm(false);
    button('#runs').click();
    while (button('#runs').disabled) await new Promise((resolve) => setImmediate(resolve));
    expect(find('#runs').textContent).toBe(before);
    confirm(true);
    button('#runs').click();
    await shows('#runs', /^( \(|$)/);
    button('#adapters').click();
    await shows('#adapters', /^( \(|$)/);
    expect(asked).toEqual([
      expect.stringMatching(/^Delete run .*; its adapter stays\?$/),
      expect.stringMatching(/^Delete run /),
      expect.stringMatching(/^Delete adapter my-style\?$/),
    ]);
    expect(problems).toEqual([]);
  });

  test('it says on what is computed, and once why that is not the card that is there', async () => {
    const note = 'the CPU computes although an NVIDIA card is there: no driver';
    const computing = { device: 'cpu', engine: 'CUDA 13.0 for 8.9', note };
    for (const service of ['trainer', 'inference']) {
      const reply = StatusReply.encode(StatusReply.create({ service, ready: true, computing })).finish();
      gateway.mesh.nc.subscribe(`rpc.${service}.status`, { callback: (_error, message) => message.respond(reply) });
    }
    await gateway.mesh.nc.flush();
    find('#token').dispatchEvent(new page.window.Event('change')); // asks for everything anew
    await shows('#computing', /although/);
    expect(find('#computing').textContent).toBe(`Computes on cpu (CUDA 13.0 for 8.9 in this engine).${note}`);
    expect(problems).toEqual([]);
  });
});
