/** Takes messages out of a stream of server-sent events, whatever pieces it comes in. Pure. */

/** A message. */
export interface Message {
  readonly event: string;
  readonly data: string;
}

/** See the head of this file. */
export class Messages {
  private rest = "";

  /** The messages that are whole with this piece. */
  add(piece: string): Message[] {
    const parts = (this.rest + piece).split("\n\n");
    this.rest = parts.pop() ?? "";
    return parts.map(read);
  }
}

function read(part: string): Message {
  let event = "message";
  const data: string[] = [];
  for (const line of part.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice("event: ".length);
    else if (line.startsWith("data: ")) data.push(line.slice("data: ".length));
  }
  return { event, data: data.join("\n") };
}
