// <train-options>: a field for each training option, drawn from /openapi.json, so that names, defaults, limits and help are the API's own.
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

/** The options among the fields of a fine-tune's body, by name: those that belong to a group. */
async function describedOptions() {
  const response = await fetch('/openapi.json');
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const { content } = (await response.json()).paths['/v1/finetunes'].post.requestBody;
  const { properties } = content['application/json'].schema;
  return Object.entries(properties).filter(([, schema]) => schema['x-group']);
}

function numberInput(name, { type, minimum, exclusiveMinimum, maximum, exclusiveMaximum, default: usual }) {
  return make('input', {
    name,
    type: 'number',
    step: type === 'integer' ? '1' : 'any',
    min: minimum ?? exclusiveMinimum ?? '',
    max: maximum ?? exclusiveMaximum ?? '',
    defaultValue: usual ?? '',
  });
}

function inputOf(name, schema) {
  const { type, enum: values, default: usual } = schema;
  if (values) {
    const isUsual = (value) => ({ value, textContent: value, defaultSelected: value === usual });
    return make('select', { name }, ...values.map((value) => make('option', isUsual(value))));
  }
  if (type === 'boolean') return make('input', { name, type: 'checkbox', defaultChecked: usual });
  if (type === 'array') return make('textarea', { name, rows: 2, defaultValue: (usual ?? []).join('\n') });
  return numberInput(name, schema);
}

/** What is in a field, as the API takes it; undefined where nothing is. */
function valueOf(input, { type }) {
  if (type === 'boolean') return input.checked;
  if (type === 'array')
    return input.value
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
  if (input.value === '') return undefined;
  return type === 'integer' || type === 'number' ? Number(input.value) : input.value;
}

class TrainOptionFields extends HTMLElement {
  fields = new Map();

  async connectedCallback() {
    try {
      this.draw(await describedOptions());
    } catch (error) {
      this.textContent = `The training options could not be read: ${error.message}. Reload the page.`;
    }
  }

  draw(options) {
    const labels = new Map(options.map(([name, schema]) => [name, this.label(name, schema)]));
    const isBasic = ([, schema]) => schema['x-basic'];
    const labelsOf = (some) => some.map(([name]) => labels.get(name));
    const others = options.filter((option) => !isBasic(option));
    const groups = [...new Set(others.map(([, schema]) => schema['x-group']))].map((group) =>
      make(
        'fieldset',
        {},
        make('legend', { textContent: group }),
        ...labelsOf(others.filter(([, schema]) => schema['x-group'] === group)),
      ),
    );
    const reset = make('button', { type: 'button', textContent: 'Back to the defaults', onclick: () => this.reset() });
    const more = make('details', {}, make('summary', { textContent: 'More options' }), ...groups, reset);
    // A field that is not valid must be seen, or the browser refuses the form without a word.
    more.addEventListener('invalid', () => (more.open = true), true);
    this.replaceChildren(make('div', { className: 'row' }, ...labelsOf(options.filter(isBasic))), more);
  }

  label(name, schema) {
    const { title, description, type } = schema;
    const input = inputOf(name, schema);
    this.fields.set(name, { input, schema });
    const unit = schema['x-unit'] ?? (type === 'array' ? 'one a line' : undefined);
    const head = unit ? `${title} (${unit})` : title;
    return make('label', { title: description }, head, input, make('small', { textContent: description }));
  }

  reset() {
    for (const { input } of this.fields.values()) {
      if (input.tagName === 'SELECT') for (const option of input.options) option.selected = option.defaultSelected;
      else if (input.type === 'checkbox') input.checked = input.defaultChecked;
      else input.value = input.defaultValue;
    }
  }

  /** What an option is set to, chosen or by default. */
  read(name) {
    const { input, schema } = this.fields.get(name);
    return valueOf(input, schema);
  }

  /** What differs from the defaults. */
  get chosen() {
    if (this.fields.size === 0)
      throw new Error('The training options are not there yet: wait a moment, or reload the page.');
    const isUsual = (value, { default: usual }) =>
      value === undefined || JSON.stringify(value) === JSON.stringify(usual);
    const entries = [...this.fields].map(([name, { input, schema }]) => [name, valueOf(input, schema), schema]);
    return Object.fromEntries(
      entries.filter(([, value, schema]) => !isUsual(value, schema)).map(([name, value]) => [name, value]),
    );
  }
}

customElements.define('train-options', TrainOptionFields);
