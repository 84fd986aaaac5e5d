// The settings page as a form library draws it from the specification. What Airbyte's page does with its own keywords
// (groups, order, secrets, hidden options, texts of several lines) is told to the library here.
import 'bootstrap/dist/css/bootstrap.min.css';
import './form.css';
import { createRoot } from 'react-dom/client';
import Form from '@rjsf/react-bootstrap';
import validator from '@rjsf/validator-ajv8';
import file from '../../internal/config/spec.json';

const spec = file.connectionSpecification;

// What a user has filled in; the rest is as the page shows it at first.
const filled = {
  connection: { host: 'aws.connect.psdb.cloud', database: 'shop', keyspaces: ['billing', 'archive'], username: 'k2x0fq8pxw7zqk3', password: 'pscale_pw_…' },
};

// The group whose optional fields are shown; ?open=replication.
const opened = new URLSearchParams(location.search).get('open');

const byOrder = (properties) => Object.keys(properties).sort((a, b) => properties[a].order - properties[b].order);

function ui(schema) {
  const u = {};
  if (schema.properties) {
    u['ui:order'] = byOrder(schema.properties);
    for (const key of u['ui:order']) u[key] = ui(schema.properties[key]);
  }
  if (schema.oneOf) u.oneOf = schema.oneOf.map(ui);
  if (schema.airbyte_hidden || schema.const !== undefined) u['ui:widget'] = 'hidden';
  else if (schema.type === 'array') u['ui:field'] = Tags;
  else if (schema.multiline) u['ui:widget'] = 'textarea';
  else if (schema.airbyte_secret) u['ui:widget'] = 'password';
  if (schema.multiline) u['ui:options'] = { rows: 2 };
  u['ui:placeholder'] = schema.pattern_descriptor ?? (schema.examples ? String(schema.examples[0]) : undefined);
  return u;
}

// A list of texts is drawn as tags.
const Tags = ({ schema, formData }) => (
  <>
    <label className="form-label">{schema.title}</label>
    <div className="form-control tags">{(formData ?? []).map((text) => <span key={text}>{text} ×</span>)}</div>
    <small className="text-muted">{schema.description}</small>
  </>
);

// Of an object the page shows what is required, what its specification wants shown, and choices; the rest when asked.
const isOpen = (schema, name) => {
  const property = schema.properties?.[name] ?? {};
  return schema.required?.includes(name) || property.always_show || property.oneOf || property.const !== undefined;
};

function Properties({ schema, title, description, properties, registry }) {
  const shown = properties.filter(({ hidden }) => !hidden);
  const open = shown.filter(({ name }) => isOpen(schema, name));
  const optional = shown.filter(({ name }) => !isOpen(schema, name));
  return (
    <>
      {schema.oneOf && title && <h5>{title}</h5>}
      {description && <p className="text-muted">{description}</p>}
      {open.map(({ name, content }) => <div key={name} className="field">{content}</div>)}
      {optional.length > 0 && (
        <details open={registry.formContext.open}>
          <summary>Optional fields</summary>
          {optional.map(({ name, content }) => <div key={name} className="field">{content}</div>)}
        </details>
      )}
    </>
  );
}

// Airbyte takes the default of a choice for the constant of one of its branches; the library wants the whole value.
const chosen = ({ oneOf, default: constant }) => {
  const branch = oneOf.find(({ properties }) => Object.values(properties).some((p) => p.const === constant));
  return { [Object.keys(branch.properties).find((key) => branch.properties[key].const === constant)]: constant };
};

// Examples would be drawn as lists to choose from.
const forLibrary = (property) => JSON.parse(JSON.stringify(property, (key, value) => {
  const isChoice = key === 'default' && property.oneOf && value === property.default;
  return key === 'examples' || isChoice ? undefined : value;
}));

function Group({ id, title }) {
  const own = Object.entries(spec.properties).filter(([, property]) => property.group === id);
  const choices = own.filter(([, property]) => property.oneOf);
  const schema = {
    type: 'object',
    required: spec.required.filter((key) => own.some(([name]) => name === key)),
    properties: Object.fromEntries(own.map(([name, property]) => [name, forLibrary(property)])),
  };
  const data = { ...filled[id], ...Object.fromEntries(choices.map(([name, property]) => [name, chosen(property)])) };
  return (
    <section>
      <h2>{title}</h2>
      <Form tagName="div" schema={schema} uiSchema={{ ...ui({ properties: Object.fromEntries(own) }), 'ui:submitButtonOptions': { norender: true } }}
        formData={data} formContext={{ open: id === opened }} templates={{ ObjectFieldTemplate: Properties }} validator={validator} />
    </section>
  );
}

// draw asks for the height that the picture needs.
new ResizeObserver(() => { document.body.dataset.height = Math.ceil(document.getElementById('page').getBoundingClientRect().height); })
  .observe(document.getElementById('page'));

createRoot(document.getElementById('page')).render(spec.groups.filter(({ id }) => !opened || id === opened).map((group) => <Group key={group.id} {...group} />));
