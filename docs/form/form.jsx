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
  connection: { host: 'aws.connect.psdb.cloud', database: 'shop', username: 'k2x0fq8pxw7zqk3', password: 'pscale_pw_…' },
  tunnel: { tunnel_method: { tunnel_method: 'SSH_KEY_AUTH', tunnel_host: 'bastion.example.com', tunnel_port: 22, tunnel_user: 'airbyte' } },
};

const byOrder = (properties) => Object.keys(properties).sort((a, b) => properties[a].order - properties[b].order);

function ui(schema) {
  const u = {};
  if (schema.properties) {
    u['ui:order'] = byOrder(schema.properties);
    for (const key of u['ui:order']) u[key] = ui(schema.properties[key]);
  }
  if (schema.oneOf) u.oneOf = schema.oneOf.map(ui);
  if (schema.airbyte_hidden || schema.const !== undefined) u['ui:widget'] = 'hidden';
  else if (schema.multiline) u['ui:widget'] = 'textarea';
  else if (schema.airbyte_secret) u['ui:widget'] = 'password';
  if (schema.multiline) u['ui:options'] = { rows: 2 };
  u['ui:placeholder'] = schema.pattern_descriptor ?? (schema.examples ? String(schema.examples[0]) : undefined);
  return u;
}

function Group({ id, title }) {
  const own = Object.entries(spec.properties).filter(([, property]) => property.group === id);
  const schema = {
    type: 'object',
    required: spec.required.filter((key) => own.some(([name]) => name === key)),
    // Examples would be drawn as lists to choose from.
    properties: JSON.parse(JSON.stringify(Object.fromEntries(own), (key, value) => (key === 'examples' ? undefined : value))),
  };
  return (
    <section>
      <h2>{title}</h2>
      <Form tagName="div" schema={schema} uiSchema={{ ...ui({ properties: Object.fromEntries(own) }), 'ui:submitButtonOptions': { norender: true } }}
        formData={filled[id]} validator={validator} />
    </section>
  );
}

// draw asks for the height that the picture needs.
new ResizeObserver(() => { document.body.dataset.height = Math.ceil(document.getElementById('page').getBoundingClientRect().height); })
  .observe(document.getElementById('page'));

createRoot(document.getElementById('page')).render(spec.groups.map((group) => <Group key={group.id} {...group} />));
