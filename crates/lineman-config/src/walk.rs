use serde_json::Value;

/// How many parts of a schema are followed, and how deep: a schema may refer to itself, even twice.
const MOST_STEPS: u32 = 100_000;
const DEEPEST: u32 = 100;

/// Follows a schema and the value that it is about together. `visit` sees, for each part of the
/// value, where it is (`region`, `hosts.0.name`), a part of the schema about it, and the part: once
/// for every part of the schema that speaks of it.
pub(crate) fn walk(schema: &Value, value: &mut Value, visit: &mut Visit<'_>) {
    Walk { schema, visit, steps: MOST_STEPS }.follow(schema, value, "", 0);
}

pub(crate) type Visit<'a> = dyn FnMut(&str, &Value, &mut Value) + 'a;

struct Walk<'a, 'v> {
    schema: &'a Value,
    visit: &'a mut Visit<'v>,
    steps: u32,
}

impl Walk<'_, '_> {
    fn follow(&mut self, schema: &Value, value: &mut Value, at: &str, depth: u32) {
        let Some(steps) = self.steps.checked_sub(1).filter(|_| depth < DEEPEST) else { return };
        self.steps = steps;
        (self.visit)(at, schema, value);
        let whole = self.schema;
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        if let Some(target) = target.and_then(|target| whole.pointer(target)) {
            self.follow(target, value, at, depth + 1);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for part in schema.get(keyword).and_then(Value::as_array).into_iter().flatten() {
                self.follow(part, value, at, depth + 1);
            }
        }
        let inside = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        match value {
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.follow(schema, item, &inside(&index.to_string()), depth + 1);
                    }
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    let named = schema.get("properties").and_then(|properties| properties.get(name));
                    if let Some(schema) = named.or_else(|| schema.get("additionalProperties")) {
                        self.follow(schema, field, &inside(name), depth + 1);
                    }
                }
            }
            _ => {}
        }
    }
}
