// The studio page: three forms over the gateway's HTTP API and one stream of events. No build step, no dependencies.
const $ = (id) => document.getElementById(id);
const tokenField = $('token');
tokenField.value = sessionStorage.getItem('atelier-token') ?? '';
tokenField.addEventListener('change', () => {
  sessionStorage.setItem('atelier-token', tokenField.value);
  refresh();
  showComputing();
});

function say(text) {
  $('message').textContent = text;
  $('message').classList.add('show');
  clearTimeout(say.timer);
  say.timer = setTimeout(() => $('message').classList.remove('show'), 6000);
}

async function api(path, options = {}) {
  const headers = { ...options.headers };
  if (tokenField.value) headers.authorization = `Bearer ${tokenField.value}`;
  if (options.json) {
    headers['content-type'] = 'application/json';
    options = { ...options, body: JSON.stringify(options.json) };
  }
  const response = await window.keyedFetch(path, { ...options, headers });
  const body = response.headers.get('content-type')?.includes('json') ? await response.json() : await response.blob();
  if (!response.ok) throw new Error(body.error?.message ?? `${path}: HTTP ${response.status}`);
  return body;
}

const element = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

async function guarded(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
  }
}

/** @param options [value, text] each; what was chosen stays chosen */
function fillSelect(select, options, keepFirst) {
  const chosen = select.value;
  select.replaceChildren(
    ...(keepFirst ? [select.options[0]] : []),
    ...options.map(([value, textContent]) => element('option', { value, textContent })),
  );
  if (chosen && options.some(([value]) => value === chosen)) select.value = chosen;
}

const counted = (count, one) => `${count} ${one}${count === 1 ? '' : 's'}`;
const stateOf = ({ status, place, pause_requested, preemptions }) =>
  [
    status,
    place && `place ${place}`,
    pause_requested && status !== 'paused' && 'to be paused',
    preemptions && `preempted ${preemptions}×`,
  ]
    .filter(Boolean)
    .join(', ');
const isOver = ({ status }) => ['finished', 'failed', 'cancelled'].includes(status);

/**
 * On what it computes, and each note once. Asked again by itself: a service that is not running yet may come, and one
 * that is learns more of its device as it opens it.
 */
async function showComputing() {
  clearTimeout(showComputing.timer);
  const { services, notes } = await api('/v1/info').catch(() => ({ services: [], notes: [] })); // the lists say what is wrong
  const computing = services.flatMap((service) => service.computing ?? []);
  const devices = [...new Set(computing.map(({ device, engine }) => `${device} (${engine} in this engine)`))];
  $('computing').replaceChildren(
    ...(devices.length > 0 ? [element('span', { textContent: `Computes on ${devices.join(' and ')}.` })] : []),
    ...notes.map((note) => element('span', { className: 'bad', textContent: note })),
  );
  const isWhole = services.length > 0 && services.every(({ state }) => state !== 'not_running');
  showComputing.timer = setTimeout(showComputing, isWhole ? 60_000 : 10_000);
}

/** Asks first: nothing brings back what was deleted. */
const deletion = (what, path) =>
  element('button', {
    type: 'button',
    className: 'delete',
    textContent: 'delete',
    title: `Delete ${what}`,
    onclick: (event) =>
      guarded(event.target, async () => {
        if (!confirm(`Delete ${what}?`)) return;
        await api(path, { method: 'DELETE' });
        await refresh();
      }),
  });

async function refresh() {
  clearTimeout(refresh.timer);
  try {
    const [datasets, runs, adapters] = await Promise.all([
      api('/v1/datasets'),
      api('/v1/finetunes'),
      api('/v1/adapters'),
    ]);
    $('datasets').replaceChildren(
      ...datasets.data.map((d) =>
        element(
          'li',
          {},
          element('span', {
            textContent:
              d.status === 'uploaded'
                ? `${d.name}: ${counted(d.files, 'file')}, being read`
                : `${d.name}: ${usedOf(d)}`,
          }),
          element('span', { className: 'status', textContent: d.status }),
          ...(d.status === 'uploaded'
            ? [
                element('button', {
                  type: 'button',
                  textContent: 'cancel',
                  onclick: (event) => guarded(event.target, () => cancelDataset(d)),
                }),
              ]
            : []),
          deletion(`data set ${d.name} and its files`, `/v1/datasets/${d.id}`),
          ...(d.error ? [element('span', { className: 'bad', textContent: d.error })] : []),
          ...(d.rejected ?? []).map((r) =>
            element('span', { className: 'bad', textContent: `${r.name}: ${r.reason}` }),
          ),
          ...(d.notes ?? []).map((n) =>
            element('span', { className: 'note', textContent: `${n.name} ${n.text}`.trim() }),
          ),
        ),
      ),
    );
    const usable = datasets.data.filter((d) => !['failed', 'cancelled'].includes(d.status));
    const isAlone = (d) => usable.filter((other) => other.name === d.name).length === 1;
    fillSelect(
      $('run-form').elements.dataset,
      usable.map((d) => [d.id, isAlone(d) ? d.name : `${d.name}, ${new Date(d.created_at * 1000).toLocaleString()}`]),
    );
    $('runs').replaceChildren(
      ...runs.data.map((r) =>
        element(
          'li',
          {},
          element('button', { type: 'button', textContent: r.name, onclick: () => follow(r) }),
          element('span', {
            textContent: isOver(r) ? `step ${r.step} of ${r.total_steps}` : counted(r.total_steps, 'step'),
          }),
          ...(r.recipe === 'seed' ? [] : [element('span', { className: 'note', textContent: `recipe ${r.recipe}` })]),
          element('span', { className: 'status', textContent: stateOf(r) }),
          ...(isOver(r) ? [] : controlsOf(r)),
          ...(r.waits_for ? [element('span', { className: 'bad', textContent: r.waits_for })] : []),
          ...(r.adapter && adapters.data.some((a) => a.name === r.adapter)
            ? [
                element('button', {
                  type: 'button',
                  textContent: 'download',
                  onclick: (event) => guarded(event.target, () => download(r.adapter)),
                }),
              ]
            : []),
          ...(isOver(r) ? [deletion(`run ${r.name}; its adapter stays`, `/v1/finetunes/${r.id}`)] : []),
          ...(r.error ? [element('span', { className: 'bad', textContent: r.error })] : []),
          ...r.warnings.map((warning) => element('span', { className: 'note', textContent: warning })),
        ),
      ),
    );
    $('adapters').replaceChildren(
      ...adapters.data.map((a) =>
        element(
          'li',
          {},
          element('span', { textContent: `${a.name}: rank ${a.rank}` }),
          deletion(`adapter ${a.name}`, `/v1/adapters/${a.name}`),
        ),
      ),
    );
    fillSelect(
      $('draw-form').elements.adapter,
      adapters.data.map((a) => [a.name, a.name]),
      true,
    );
    // Runs tell of themselves in their events; of a data set that is being read, only asking tells.
    if (datasets.data.some((d) => d.status === 'uploaded')) refresh.timer = setTimeout(refresh, 1000);
    return runs.data;
  } catch (error) {
    say(error.message);
  }
}

/** What a person can do about a run that is not over: put it down and take it up again, and have its turn come sooner or later. */
function controlsOf(run) {
  const isPaused = run.status === 'paused' || run.pause_requested;
  const control = (textContent, path, options) =>
    element('button', {
      type: 'button',
      textContent,
      onclick: (event) =>
        guarded(event.target, async () => {
          await api(`/v1/finetunes/${run.id}${path}`, options);
          await refresh();
        }),
    });
  const priority = (text, by) =>
    control(text, '', { method: 'PATCH', json: { priority: Math.max(-100, Math.min(100, run.priority + by)) } });
  return [
    control(isPaused ? 'resume' : 'pause', isPaused ? '/resume' : '/pause', { method: 'POST' }),
    ...(run.place ? [priority('sooner', 1), priority('later', -1)] : []),
  ];
}

/** "24 of 28 pictures; 4 left out" */
function usedOf({ pictures, used, left_out: leftOut }) {
  return leftOut > 0 ? `${used} of ${counted(pictures, 'picture')}; ${leftOut} left out` : counted(used, 'picture');
}

async function cancelDataset(dataset) {
  await api(`/v1/datasets/${dataset.id}/cancel`, { method: 'POST' });
  await refresh();
}

async function download(adapter) {
  const href = URL.createObjectURL(await api(`/v1/adapters/${adapter}`)); // not a plain link, which could carry no token
  element('a', { href, download: `${adapter}.safetensors` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

$('files').addEventListener('change', () => {
  $('chosen').textContent = `${counted($('files').files.length, 'file')} chosen`;
});
for (const [event, over] of [
  ['dragover', true],
  ['dragleave', false],
  ['drop', false],
])
  $('drop').addEventListener(event, (e) => {
    e.preventDefault();
    $('drop').classList.toggle('over', over);
    if (event === 'drop') {
      $('files').files = e.dataTransfer.files;
      $('files').dispatchEvent(new Event('change'));
    }
  });

$('dataset-form').addEventListener('submit', (event) => {
  event.preventDefault();
  guarded(event.submitter, async () => {
    const form = new FormData();
    for (const field of ['name', 'trigger', 'width', 'height']) form.append(field, event.target.elements[field].value);
    for (const file of $('files').files) form.append('files', file, file.name);
    const dataset = await api('/v1/datasets', { method: 'POST', body: form });
    say(`${dataset.name} is being read.`);
    await refresh();
  });
});

$('run-form').addEventListener('submit', (event) => {
  event.preventDefault();
  guarded(event.submitter, async () => {
    const { dataset, name } = event.target.elements;
    const options = $('options').chosen;
    // Prompts alone would draw nothing: then four times in the run.
    if (options.validation_prompts) options.validate_every ??= Math.ceil($('options').read('total_steps') / 4);
    const json = { dataset: dataset.value, name: name.value, ...options };
    const run = await api('/v1/finetunes', { method: 'POST', json });
    await refresh();
    follow(run);
  });
});

let following;
/** Shows a run from its first event on, until it is over or another one is looked at. A stream that breaks is taken up again where it broke. */
async function follow(run) {
  following?.abort();
  const { signal } = (following = new AbortController());
  const seen = { run, losses: [], heldOut: [], encoded: 0, over: false, last: '' };
  $('curve').hidden = false;
  $('cancel').hidden = isOver(run);
  $('run-progress').value = 0;
  $('run-caption').textContent = `${run.name}: ${stateOf(run)}`;
  for (const line of ['loss', 'loss-raw', 'loss-held-out']) $(line).setAttribute('points', '');
  $('axes').replaceChildren();
  $('samples').replaceChildren();
  $('cancel').onclick = () => guarded($('cancel'), () => api(`/v1/finetunes/${run.id}/cancel`, { method: 'POST' }));
  while (!seen.over && !signal.aborted) {
    try {
      if (!(await readEvents(seen, signal))) break;
    } catch (error) {
      if (signal.aborted) return;
      say(error.message);
      if (error.refused) return;
    }
    if (!seen.over) await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  if (!signal.aborted) refresh();
}

/** @returns false when there is nothing more to come */
async function readEvents(seen, signal) {
  const headers = tokenField.value ? { authorization: `Bearer ${tokenField.value}` } : {};
  if (seen.last) headers['last-event-id'] = seen.last;
  const response = await fetch(`/v1/finetunes/${seen.run.id}/events`, { headers, signal });
  if (response.status === 204) return false;
  if (!response.ok)
    throw Object.assign(new Error((await response.json()).error.message), { refused: response.status < 500 });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += part.value;
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const field = (name) =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const data = field('data');
      if (data && !signal.aborted) await show(JSON.parse(data), seen);
      seen.last = field('id') ?? seen.last;
    }
  }
  return true;
}

async function show(event, seen) {
  const { run, losses, heldOut } = seen;
  const caption = (text) => {
    $('run-caption').textContent = `${run.name}: ${text}`;
  };
  if (event.type === 'status') {
    caption([stateOf(event), event.waits_for].filter(Boolean).join(': '));
    refresh();
  } else if (event.type === 'encoding') {
    seen.wanted = event.latents_total - event.latents_cached + event.prompts_total - event.prompts_cached;
    caption(
      seen.wanted
        ? `encoding ${seen.wanted} of its pictures and captions`
        : 'nothing to encode, all pictures and captions are cached',
    );
  } else if (event.type === 'encoded') {
    caption(`encoded ${++seen.encoded} of ${seen.wanted ?? seen.encoded} pictures and captions`);
  } else if (event.type === 'step') {
    losses.push([event.step, event.loss]);
    drawCurve(losses, heldOut);
    $('run-progress').value = event.step / event.total_steps;
    caption(
      `step ${event.step} of ${event.total_steps}, loss ${event.loss.toFixed(4)}, learning rate ${event.learning_rate.toPrecision(3)}, ${Math.ceil(event.eta_seconds)} s to go`,
    );
  } else if (event.type === 'held_out') {
    heldOut.push([event.step, event.loss]); // drawn with the next step: before the first there is no axis
    if (losses.length) drawCurve(losses, heldOut);
  } else if (event.type === 'sample') {
    $('samples').append(await picture(event.url, `step ${event.step}: ${event.prompt}`));
  } else if (isOver({ status: event.type })) {
    seen.over = true;
    $('cancel').hidden = true;
    const [step, loss] = losses.at(-1) ?? [];
    caption(
      `${event.type}${event.message ? `: ${event.message}` : step ? `, ${counted(step, 'step')}, loss ${loss.toFixed(4)}` : ''}`,
    );
  }
}

function drawCurve(losses, heldOut) {
  const [left, top, width, height] = [44, 12, 584, 180];
  const values = [...losses, ...heldOut].map(([, loss]) => loss);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = losses.at(-1)[0] || 1;
  const x = (step) => left + (width * step) / last;
  const y = (loss) => top + height * (1 - (loss - low) / (high - low || 1));
  let mean = losses[0][1];
  const smooth = losses.map(([step, loss]) => {
    mean = 0.9 * mean + 0.1 * loss;
    return `${x(step)},${y(mean)}`;
  });
  $('loss-raw').setAttribute('points', losses.map(([step, loss]) => `${x(step)},${y(loss)}`).join(' '));
  $('loss').setAttribute('points', smooth.join(' '));
  $('loss-held-out').setAttribute('points', heldOut.map(([step, loss]) => `${x(step)},${y(loss)}`).join(' '));
  $('axes').innerHTML =
    [low, (low + high) / 2, high]
      .map(
        (v) =>
          `<line x1="${left}" x2="${left + width}" y1="${y(v)}" y2="${y(v)}"/><text x="4" y="${y(v) + 4}">${v.toFixed(3)}</text>`,
      )
      .join('') +
    `<text x="${left}" y="212">0</text><text x="${left + width}" y="212" text-anchor="end">${last}</text>`;
}

async function picture(url, caption) {
  const blob = await api(url);
  return element(
    'figure',
    {},
    element('img', { src: URL.createObjectURL(blob), alt: caption }),
    element('figcaption', { textContent: caption }),
  );
}

$('draw-form').addEventListener('submit', (event) => {
  event.preventDefault();
  guarded(event.submitter, async () => {
    const { prompt, adapter, size, steps, seed } = event.target.elements;
    $('pictures').replaceChildren();
    for (const model of adapter.value ? ['', adapter.value] : ['']) {
      const result = await api('/v1/images/generations', {
        method: 'POST',
        json: {
          prompt: prompt.value,
          model: model || undefined,
          size: size.value,
          steps: +steps.value,
          seed: +seed.value,
          response_format: 'b64_json',
        },
      });
      $('pictures').append(
        element(
          'figure',
          {},
          element('img', { src: `data:image/png;base64,${result.data[0].b64_json}`, alt: prompt.value }),
          element('figcaption', { textContent: model || 'base model' }),
        ),
      );
    }
  });
});

showComputing();
// Whoever opens the page sees how the newest run stands.
const [newest] = (await refresh()) ?? [];
if (newest) follow(newest);
