// The studio page: three forms over the gateway's HTTP API and one stream of events. No build step, no dependencies.
const $ = (id) => document.getElementById(id);
const tokenField = $('token');
tokenField.value = sessionStorage.getItem('atelier-token') ?? '';
tokenField.addEventListener('change', () => { sessionStorage.setItem('atelier-token', tokenField.value); refresh(); });

function say(text) {
  $('message').textContent = text;
  $('message').classList.add('show');
  clearTimeout(say.timer);
  say.timer = setTimeout(() => $('message').classList.remove('show'), 6000);
}

async function api(path, options = {}) {
  const headers = { ...options.headers };
  if (tokenField.value) headers.authorization = `Bearer ${tokenField.value}`;
  if (options.json) { headers['content-type'] = 'application/json'; options = { ...options, body: JSON.stringify(options.json) }; }
  const response = await fetch(path, { ...options, headers });
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
  try { await work(); } catch (error) { say(error.message); } finally { button.disabled = false; }
}

function fillSelect(select, values, keepFirst) {
  const chosen = select.value;
  select.replaceChildren(...(keepFirst ? [select.options[0]] : []), ...values.map((value) => element('option', { value, textContent: value })));
  if (chosen) select.value = chosen;
}

async function refresh() {
  try {
    const [datasets, runs, adapters] = await Promise.all([api('/v1/datasets'), api('/v1/finetunes'), api('/v1/adapters')]);
    $('datasets').replaceChildren(...datasets.data.map((d) => element('li', {},
      element('span', { textContent: `${d.name}: ${d.samples} pictures` }),
      element('span', { className: 'status', textContent: d.status }),
      ...(d.rejected ?? []).map((r) => element('span', { className: 'bad', textContent: `${r.name}: ${r.reason}` })))));
    fillSelect($('run-form').elements.dataset, datasets.data.map((d) => d.id));
    $('runs').replaceChildren(...runs.data.map((r) => element('li', {},
      element('button', { type: 'button', textContent: r.name, onclick: () => follow(r) }),
      element('span', { textContent: `step ${r.step} of ${r.total_steps}` }),
      element('span', { className: 'status', textContent: r.status }),
      ...(r.error ? [element('span', { className: 'bad', textContent: r.error })] : []))));
    fillSelect($('draw-form').elements.adapter, adapters.data.map((a) => a.name), true);
  } catch (error) { say(error.message); }
}

$('files').addEventListener('change', () => { $('chosen').textContent = `${$('files').files.length} files chosen`; });
for (const [event, over] of [['dragover', true], ['dragleave', false], ['drop', false]])
  $('drop').addEventListener(event, (e) => {
    e.preventDefault();
    $('drop').classList.toggle('over', over);
    if (event === 'drop') { $('files').files = e.dataTransfer.files; $('files').dispatchEvent(new Event('change')); }
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
    const { dataset, name, steps, rank, lr } = event.target.elements;
    const run = await api('/v1/finetunes', { method: 'POST', json: { dataset: dataset.value, name: name.value, steps: +steps.value, rank: +rank.value, alpha: +rank.value, learning_rate: +lr.value } });
    await refresh();
    follow(run);
  });
});

let following;
async function follow(run) {
  following?.abort();
  following = new AbortController();
  const losses = [];
  $('curve').hidden = false;
  $('samples').replaceChildren();
  $('cancel').onclick = () => guarded($('cancel'), () => api(`/v1/finetunes/${run.id}/cancel`, { method: 'POST' }));
  const headers = tokenField.value ? { authorization: `Bearer ${tokenField.value}` } : {};
  try {
    const response = await fetch(`/v1/finetunes/${run.id}/events`, { headers, signal: following.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += part.value;
      const blocks = text.split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        const data = block.split('\n').find((line) => line.startsWith('data: '));
        if (data) show(JSON.parse(data.slice(6)), losses, run);
      }
    }
  } catch (error) { if (error.name !== 'AbortError') say(error.message); }
  refresh();
}

async function show(event, losses, run) {
  if (event.type === 'step') {
    losses.push([event.step, event.loss]);
    drawCurve(losses);
    $('run-progress').value = event.step / event.total_steps;
    $('run-caption').textContent = `${run.name}: step ${event.step} of ${event.total_steps}, loss ${event.loss.toFixed(4)}, learning rate ${event.learning_rate.toPrecision(3)}, ${Math.ceil(event.eta_seconds)} s to go`;
  } else if (event.type === 'sample') {
    $('samples').append(await picture(event.url, `step ${event.step}: ${event.prompt}`));
  } else if (['finished', 'failed', 'cancelled'].includes(event.type)) {
    $('run-caption').textContent = `${run.name}: ${event.type}${event.message ? `: ${event.message}` : ''}`;
    refresh();
  }
}

function drawCurve(losses) {
  const [left, top, width, height] = [44, 12, 584, 180];
  const values = losses.map(([, loss]) => loss);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = losses.at(-1)[0] || 1;
  const x = (step) => left + (width * step) / last;
  const y = (loss) => top + height * (1 - (loss - low) / (high - low || 1));
  let mean = values[0];
  const smooth = losses.map(([step, loss]) => { mean = 0.9 * mean + 0.1 * loss; return `${x(step)},${y(mean)}`; });
  $('loss-raw').setAttribute('points', losses.map(([step, loss]) => `${x(step)},${y(loss)}`).join(' '));
  $('loss').setAttribute('points', smooth.join(' '));
  $('axes').innerHTML = [low, (low + high) / 2, high]
    .map((v) => `<line x1="${left}" x2="${left + width}" y1="${y(v)}" y2="${y(v)}"/><text x="4" y="${y(v) + 4}">${v.toFixed(3)}</text>`)
    .join('') + `<text x="${left}" y="212">0</text><text x="${left + width}" y="212" text-anchor="end">${last}</text>`;
}

async function picture(url, caption) {
  const blob = await api(url);
  return element('figure', {}, element('img', { src: URL.createObjectURL(blob), alt: caption }), element('figcaption', { textContent: caption }));
}

$('draw-form').addEventListener('submit', (event) => {
  event.preventDefault();
  guarded(event.submitter, async () => {
    const { prompt, adapter, size, steps, seed } = event.target.elements;
    $('pictures').replaceChildren();
    for (const model of adapter.value ? ['', adapter.value] : ['']) {
      const result = await api('/v1/images/generations', { method: 'POST', json: { prompt: prompt.value, model: model || undefined, size: size.value, steps: +steps.value, seed: +seed.value, response_format: 'b64_json' } });
      $('pictures').append(element('figure', {}, element('img', { src: `data:image/png;base64,${result.data[0].b64_json}`, alt: prompt.value }), element('figcaption', { textContent: model || 'base model' })));
    }
  });
});

refresh();
