import { matchesInTime } from '#config/bounded-pattern.ts';

type Texts = Readonly<Record<string, string>>;

/** Whether labels have all that an answer of a playbook names, each with a value that its expression matches whole. */
export function answersTo(answer: Texts, labels: Texts): boolean {
  return Object.entries(answer).every(
    ([label, pattern]) =>
      Object.hasOwn(labels, label) && matchesInTime(new RegExp(`^(?:${pattern})$`, 'u'), labels[label] ?? '') === true,
  );
}
