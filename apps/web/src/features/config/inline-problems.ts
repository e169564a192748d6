// Problems said at the end of their lines, besides the underline and the mark in the gutter.

import { setDiagnostics } from '@codemirror/lint';
import { type EditorState, StateEffect, StateField, type TransactionSpec } from '@codemirror/state';
import { Decoration, type DecorationSet, EditorView, WidgetType } from '@codemirror/view';
import type { ConfigCheck } from '@weft/mesh-core/api';

type Problem = ConfigCheck['problems'][number];
const setProblems = StateEffect.define<readonly Problem[]>();

class Message extends WidgetType {
  private readonly problem: Problem;
  constructor(problem: Problem) {
    super();
    this.problem = problem;
  }
  override eq(other: Message): boolean {
    return other.problem.message === this.problem.message && other.problem.severity === this.problem.severity;
  }
  override toDOM(): HTMLElement {
    const element = document.createElement('span');
    element.className = `cm-said ${this.problem.severity}`;
    // Shown by the style sheet: a browser that types over a selection may leave a text node of ours in what was typed.
    element.dataset['said'] = this.problem.message;
    return element;
  }
}

/** Keeps the messages where they belong while the text moves. */
export const inlineProblems = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(held, transaction) {
    for (const effect of transaction.effects) {
      if (!effect.is(setProblems)) continue;
      const { doc } = transaction.state;
      const lines = new Map<number, Problem>();
      for (const problem of effect.value) {
        const at = Math.min(doc.lines, Math.max(1, problem.line ?? 1));
        if (lines.get(at)?.severity !== 'error') lines.set(at, problem);
      }
      return Decoration.set(
        [...lines]
          .toSorted(([a], [b]) => a - b)
          .map(([line, problem]) => Decoration.widget({ widget: new Message(problem), side: 1 }).range(doc.line(line).to)),
      );
    }
    return held.map(transaction.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** What a problem covers in the text: its own range, else its whole line. */
export function rangeOf(state: EditorState, problem: Problem): { from: number; to: number } {
  const { doc } = state;
  const line = doc.line(Math.min(doc.lines, Math.max(1, problem.line ?? 1)));
  const from = problem.column === undefined ? line.from + (line.text.length - line.text.trimStart().length) : Math.min(line.to, line.from + problem.column - 1);
  if (problem.endLine === undefined || problem.endColumn === undefined) return { from, to: line.to };
  const last = doc.line(Math.min(doc.lines, Math.max(1, problem.endLine)));
  const to = Math.min(last.to, last.from + problem.endColumn - 1);
  return { from, to: Math.max(from, to) };
}

/** Marks the problems in a text. */
export function showProblems(state: EditorState, problems: readonly Problem[]): TransactionSpec {
  const marks = setDiagnostics(
    state,
    problems.map((p) => ({ ...underline(state, p), severity: p.severity, message: p.message })),
  );
  return { ...marks, effects: [...asList(marks.effects), setProblems.of(problems)] };
}

/** A problem that covers many lines is underlined where it begins. */
function underline(state: EditorState, problem: Problem): { from: number; to: number } {
  const { from, to } = rangeOf(state, problem);
  return { from, to: Math.min(to, state.doc.lineAt(from).to) };
}

function asList<T>(value: T | readonly T[] | undefined): readonly T[] {
  return value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];
}
