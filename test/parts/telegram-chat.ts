import { EntityError, parseHtml, type ParsedText } from './telegram-html.ts';

export interface ChatMessage {
  id: number;
  chat: number;
  topic: number | undefined;
  /** As a reader sees it: invisible word joiners left out. */
  text: string;
  /** As it came out of the parser; `entities` count in it. */
  parsed: string;
  /** As the bot sent it when it said `parse_mode: HTML`. */
  html: string | undefined;
  entities: ParsedText['entities'];
  buttons: { text: string; data: string }[][];
  /** Texts it had before, oldest first. */
  versions: string[];
  deleted: boolean;
  document: { name: string; content: string } | undefined;
  silent: boolean;
  linkPreview: boolean;
}

interface ChatPlace {
  id: number;
  type: 'private' | 'supergroup';
  title: string;
  topics: readonly number[];
  blocked: boolean;
  movedTo: number | undefined;
}

/** An answer that is not ok, as the Bot API writes it. */
export class ApiError extends Error {
  readonly code: number;
  readonly parameters: Record<string, number> | undefined;

  constructor(code: number, description: string, parameters?: Record<string, number>) {
    super(description);
    this.code = code;
    this.parameters = parameters;
  }
}

type Fields = Record<string, unknown>;

/** What Telegram keeps: chats and messages, with the rules by which it refuses some. */
export class Chats {
  readonly places = new Map<number, ChatPlace>();
  readonly messages: ChatMessage[] = [];
  #lastId = 0;

  add(place: Pick<ChatPlace, 'id' | 'type' | 'title'> & { topics?: readonly number[] }): ChatPlace {
    const full = { topics: [], ...place, blocked: false, movedTo: undefined };
    this.places.set(place.id, full);
    return full;
  }

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  send(fields: Fields): ChatMessage {
    const place = this.#place(fields['chat_id']);
    const topic = fields['message_thread_id'] === undefined ? undefined : Number(fields['message_thread_id']);
    if (topic !== undefined && !place.topics.includes(topic)) {
      throw new ApiError(400, 'Bad Request: message thread not found');
    }
    const document = fields['document'] as ChatMessage['document'];
    const body = document === undefined ? bodyOf(fields['text'], fields['parse_mode']) : captionOf(fields);
    if (document === undefined && body.parsed.length > 4_096)
      throw new ApiError(400, 'Bad Request: message is too long');
    const message: ChatMessage = {
      ...body,
      id: this.nextId(),
      chat: place.id,
      topic,
      buttons: keyboardOf(fields['reply_markup']),
      versions: [],
      deleted: false,
      document,
      silent: isTrue(fields['disable_notification']),
      linkPreview: (fields['link_preview_options'] as Fields | undefined)?.['is_disabled'] !== true,
    };
    this.messages.push(message);
    return message;
  }

  edit(fields: Fields): ChatMessage {
    const message = this.#existing(fields, 'Bad Request: message to edit not found');
    const buttons = keyboardOf(fields['reply_markup']);
    const body = 'text' in fields ? bodyOf(fields['text'], fields['parse_mode']) : message;
    if (body.parsed.length > 4_096) throw new ApiError(400, 'Bad Request: MESSAGE_TOO_LONG');
    const facts = (from: Pick<ChatMessage, 'parsed' | 'entities' | 'buttons'>): string =>
      JSON.stringify([from.parsed, from.entities, from.buttons]);
    if (facts({ ...body, buttons }) === facts(message)) {
      throw new ApiError(
        400,
        'Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
      );
    }
    message.versions.push(message.text);
    return Object.assign(message, {
      text: body.text,
      parsed: body.parsed,
      html: body.html,
      entities: body.entities,
      buttons,
    });
  }

  remove(fields: Fields): true {
    this.#existing(fields, 'Bad Request: message to delete not found').deleted = true;
    return true;
  }

  #existing(fields: Fields, otherwise: string): ChatMessage {
    const place = this.#place(fields['chat_id']);
    const id = Number(fields['message_id']);
    const found = this.messages.find((message) => message.id === id && message.chat === place.id && !message.deleted);
    if (found === undefined) throw new ApiError(400, otherwise);
    return found;
  }

  #place(id: unknown): ChatPlace {
    const place = this.places.get(Number(id));
    if (place === undefined) throw new ApiError(400, 'Bad Request: chat not found');
    if (place.movedTo !== undefined) {
      throw new ApiError(400, 'Bad Request: group chat was upgraded to a supergroup chat', {
        migrate_to_chat_id: place.movedTo,
      });
    }
    if (place.blocked) {
      const reason =
        place.type === 'private' ? 'bot was blocked by the user' : 'bot was kicked from the supergroup chat';
      throw new ApiError(403, `Forbidden: ${reason}`);
    }
    return place;
  }
}

function isTrue(value: unknown): boolean {
  return value === true || value === 'true';
}

type Body = Pick<ChatMessage, 'text' | 'parsed' | 'html' | 'entities'>;

function bodyOf(value: unknown, parseMode: unknown): Body {
  const body = format(typeof value === 'string' ? value : '', parseMode);
  if (body.text === '') throw new ApiError(400, 'Bad Request: message text is empty');
  return body;
}

function captionOf(fields: Fields): Body {
  const caption = fields['caption'];
  const body = format(typeof caption === 'string' ? caption : '', fields['parse_mode']);
  if (body.parsed.length > 1_024) throw new ApiError(400, 'Bad Request: message caption is too long');
  return body;
}

/** Telegram takes white space off both ends. Entities beyond the hundredth are dropped. */
function format(value: string, parseMode: unknown): Body {
  if (!value.isWellFormed()) throw new ApiError(400, 'Bad Request: strings must be encoded in UTF-8');
  if (parseMode === undefined) return bodyFrom(value.trim(), undefined, []);
  if (parseMode !== 'HTML') throw new ApiError(400, 'Bad Request: unsupported parse_mode');
  try {
    const { text, entities } = parseHtml(value);
    return bodyFrom(text.trim(), value, entities.slice(0, 100));
  } catch (error) {
    if (!(error instanceof EntityError)) throw error;
    throw new ApiError(400, `Bad Request: can't parse entities: ${error.message}`);
  }
}

function bodyFrom(parsed: string, html: string | undefined, entities: Body['entities']): Body {
  return { text: parsed.replaceAll('\u2060', ''), parsed, html, entities };
}

function keyboardOf(value: unknown): ChatMessage['buttons'] {
  const markup = (typeof value === 'string' ? JSON.parse(value) : value) as { inline_keyboard?: unknown } | undefined;
  const rows = (markup?.inline_keyboard ?? []) as { text?: unknown; callback_data?: unknown }[][];
  const buttons = rows.map((row) => row.map(buttonOf)).filter((row) => row.length > 0);
  if (buttons.flat().length > 100 || buttons.some((row) => row.length > 8)) {
    throw new ApiError(400, 'Bad Request: REPLY_MARKUP_TOO_LONG');
  }
  return buttons;
}

function buttonOf(button: { text?: unknown; callback_data?: unknown }): { text: string; data: string } {
  const { text, callback_data: data } = button;
  if (typeof text !== 'string' || text.trim() === '') {
    throw new ApiError(400, 'Bad Request: inline keyboard button text must be non-empty');
  }
  if (typeof data !== 'string' || data === '' || Buffer.byteLength(data) > 64) {
    throw new ApiError(400, 'Bad Request: BUTTON_DATA_INVALID');
  }
  return { text, data };
}
