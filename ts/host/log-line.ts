/** Lines of the engine's log (event 10): JSON with a target, a message and fields. */

/** What a line tells besides its message, by name. */
export type LogFields = Readonly<Record<string, unknown>>;

/** See the head of this file. */
export interface EngineLine {
  readonly message: string;
  readonly fields: LogFields;
}

/** The part of the engine that spoke: of "raft_kv_journal::writer" it is "journal". */
function component(target: string): string {
  const [crate = target] = target.split("::");
  return crate.replace("raft_kv_", "");
}

function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Reads a line. One that cannot be read is its own message. */
export function readEngineLine(text: string): EngineLine {
  try {
    const { target, message, ...rest } = JSON.parse(text);
    const fields = Object.entries(rest).map(([name, value]) => [camelCase(name), value]);
    return {
      message: String(message),
      fields: { component: component(String(target)), ...Object.fromEntries(fields) },
    };
  } catch {
    return { message: text, fields: {} };
  }
}
