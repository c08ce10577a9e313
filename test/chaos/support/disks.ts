/**
 * Small disks of the run's own, mounted below its scratch directory: in memory, or a file with ext4
 * behind a loop device. They can be filled, and a loop device can be made slow.
 */
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { possible, system } from "./system.ts";

const THROTTLE = "/sys/fs/cgroup/blkio";

/** A disk that is mounted. */
export class Disk {
  /** Where it is mounted. */
  readonly path: string;
  /** The loop device, of a disk that has one. */
  readonly device: string | undefined;
  private readonly group: string;

  private constructor(path: string, source: string, mount: readonly string[], device?: string) {
    this.path = path;
    this.device = device;
    this.group = join(THROTTLE, `raft-kv-chaos-${process.pid}`);
    mkdirSync(path, { recursive: true });
    system("mount", ...mount, source, path);
  }

  /** Mounts memory at `path`. @throws SystemFault where that cannot be done */
  static inMemory(path: string, mebibytes: number): Disk {
    return new Disk(path, "raft-kv-chaos", ["-t", "tmpfs", "-o", `size=${mebibytes}m`]);
  }

  /** Mounts an image at `path`, with these options. @throws SystemFault where that cannot be done */
  static ofImage(path: string, image: string, options = "defaults"): Disk {
    const device = system("losetup", "--find", "--show", image);
    try {
      return new Disk(path, device, ["-o", options], device);
    } catch (error) {
      system("losetup", "-d", device);
      throw error;
    }
  }

  /** Leaves no byte free, or gives what was taken back. */
  setFull(isFull: boolean): void {
    const ballast = join(this.path, "ballast");
    for (const file of [ballast, `${ballast}-rest`]) rmSync(file, { force: true });
    if (!isFull) return;
    const { bavail, bsize } = statfsSync(this.path);
    possible(() => system("fallocate", "-l", String(bavail * bsize), ballast));
    // What block maps left over.
    possible(() => system("dd", "if=/dev/zero", `of=${ballast}-rest`, "bs=4096"));
  }

  /** Lets a process do so many writes in a second, or as many as it likes. @throws SystemFault */
  setWritesPerSecond(pid: number, writes: number | undefined): void {
    if (this.device === undefined || !existsSync(THROTTLE)) return;
    const number = system("lsblk", "-no", "MAJ:MIN", this.device).trim();
    mkdirSync(this.group, { recursive: true });
    writeFileSync(join(this.group, "blkio.throttle.write_iops_device"), `${number} ${writes ?? 0}`);
    const group = writes === undefined ? THROTTLE : this.group;
    writeFileSync(join(group, "cgroup.procs"), String(pid));
  }

  /** Can this disk be made slow? */
  get canBeSlow(): boolean {
    return this.device !== undefined && existsSync(join(THROTTLE, "cgroup.procs"));
  }

  /** Unmounts it; processes that use it must have ended. */
  remove(): void {
    possible(() => system("umount", this.path));
    if (this.device !== undefined) possible(() => system("losetup", "-d", this.device as string));
    possible(() => system("rmdir", this.group));
  }
}

/** Makes an image with an empty ext4. @throws SystemFault */
export function makeImage(image: string, mebibytes: number): void {
  system("truncate", "-s", `${mebibytes}M`, image);
  system("mkfs.ext4", "-q", "-F", image);
}
