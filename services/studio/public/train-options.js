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

function put(input, { type }, value) {
  if (type === 'boolean') input.checked = value;
  else input.value = type === 'array' ? (value ?? []).join('\n') : (value ?? '');
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

class TrainOptionFields extends HTMLElement {
  fields = new Map();
  /** What recipes set, by name; of the API's own description. */
  recipes = {};
  recipe = undefined;

  async connectedCallback() {
    try {
      this.draw(await describedOptions());
    } catch (error) {
      this.textContent = `The training options could not be read: ${error.message}. Reload the page.`;
    }
  }

  draw(options) {
    this.recipes = Object.fromEntries(options).recipe?.['x-recipes'] ?? {};
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
    const about = make('output', { className: 'recipe' });
    this.replaceChildren(make('div', { className: 'row' }, ...labelsOf(options.filter(isBasic))), about, more);
    const select = this.fields.get('recipe')?.input;
    if (select) select.onchange = () => this.follow(select.value);
    this.recipe = select?.value;
  }

  /** Fills in what a recipe sets, but for what a person has set. */
  follow(recipe) {
    const untouched = [...this.fields].filter(
      ([name, { input, schema }]) => name !== 'recipe' && this.isUsual(name, valueOf(input, schema)),
    );
    this.recipe = recipe;
    for (const [name, { input, schema }] of untouched) put(input, schema, this.usual(name));
    this.tellRecipe();
  }

  tellRecipe() {
    const { about = '', options = {} } = this.recipes[this.recipe] ?? {};
    const set = Object.entries(options).map(([name, value]) => `${name} ${[value].flat().join(', ')}`);
    this.querySelector('.recipe').textContent = set.length ? `${about} It sets ${set.join('; ')}.` : '';
  }

  /** What an option is where nothing is sent for it. */
  usual(name) {
    return this.recipes[this.recipe]?.options[name] ?? this.fields.get(name).schema.default;
  }

  isUsual(name, value) {
    return value === undefined || same(value, this.usual(name));
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
    this.recipe = this.fields.get('recipe')?.input.value;
    this.tellRecipe();
  }

  /** What an option is set to, chosen or by default. */
  read(name) {
    const { input, schema } = this.fields.get(name);
    return valueOf(input, schema);
  }

  /** What differs from the recipe's and the defaults. */
  get chosen() {
    if (this.fields.size === 0)
      throw new Error('The training options are not there yet: wait a moment, or reload the page.');
    const entries = [...this.fields].map(([name, { input, schema }]) => [name, valueOf(input, schema)]);
    return Object.fromEntries(entries.filter(([name, value]) => !this.isUsual(name, value)));
  }
}

customElements.define('train-options', TrainOptionFields);
