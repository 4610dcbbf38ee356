import type { InventoryPicture } from '#bus/messages/inventory.ts';
import type { Desk } from '../desk.ts';
import { arrange } from '../incident/arrange.ts';

/** What sentinels found of the fleet: it joins the written inventory, and what fires is grouped by it from then on. */
export function createFleet(desk: Desk): { take(picture: InventoryPicture): void; forget(sentinel: string): void } {
  const pictures = new Map<string, InventoryPicture>();
  const learn = (): void => {
    desk.inventory.learn([...pictures.values()].flatMap(({ nodes }) => nodes));
    if (desk.world.firing().length > 0) desk.transact(() => arrange(desk));
  };
  return {
    take(picture) {
      pictures.set(picture.sentinel, picture);
      learn();
    },
    forget(sentinel) {
      if (pictures.delete(sentinel)) learn();
    },
  };
}
