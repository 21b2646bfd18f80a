#!/usr/bin/env python3
"""Says which crates a program is made of: weigh.py OBJECT PROGRAM, or weigh.py OBJECT start.ld

OBJECT is all of the program's Rust, compiled and not linked yet; `make size` leaves it beside the program. Of a
program the ten largest crates are printed; of a list that knows too little of them, a warning.
"""

import collections
import re
import struct
import sys
from pathlib import Path

LARGEST = 10
# <elf.h>
SYMTAB, RELA, NOBITS, REL, SYMTAB_SHNDX = 2, 4, 8, 9, 18
ALLOC, INDEX_IS_ELSEWHERE = 2, 0xFFFF
Section = collections.namedtuple("Section", "name type flags address offset size link info align entry")
# What only carries the code of others, when a crate of theirs is named too.
CARRIERS = {"core", "alloc", "std", "hashbrown"}
MATCHES_AT_LEAST = 0.8
TABLES = {".eh_frame": "(unwinding)", ".eh_frame_hdr": "(unwinding)"}


class Object:
    """Sections of an ELF file of either width and byte order, and what they refer to."""

    def __init__(self, path):
        self.data = Path(path).read_bytes()
        assert self.data[:4] == b"\x7fELF", f"{path} is no ELF file"
        self.wide = self.data[4] == 2
        self.order = "<" if self.data[5] == 1 else ">"
        at, entry, count, names = self.read("40xQ10xHHH" if self.wide else "32xI10xHHH", 0)
        form = "IIQQQQIIQQ" if self.wide else "10I"
        first = Section(*self.read(form, at))
        count, names = count or first.size, first.link if names == INDEX_IS_ELSEWHERE else names
        found = [Section(*self.read(form, at + entry * i)) for i in range(count)]
        self.sections = [section._replace(name=self.text(found[names].offset + section.name)) for section in found]

    def read(self, form, at):
        return struct.unpack_from(self.order + form, self.data, at)

    def text(self, at):
        return self.data[at : self.data.index(b"\0", at)].decode(errors="replace")

    def entries(self, section, form):
        for at in range(section.offset, section.offset + section.size, section.entry):
            yield self.read(form, at)

    def symbol_sections(self):
        """The section of each symbol, by its number."""
        table = next(section for section in self.sections if section.type == SYMTAB)
        placed = [found[-1] for found in self.entries(table, "6xH16x" if self.wide else "14xH")]
        for far in (section for section in self.sections if section.type == SYMTAB_SHNDX):
            elsewhere = self.read(f"{len(placed)}I", far.offset)
            placed = [there if here == INDEX_IS_ELSEWHERE else here for here, there in zip(placed, elsewhere)]
        return placed

    def references(self):
        """What a section refers to, by their numbers."""
        placed, found = self.symbol_sections(), collections.defaultdict(list)
        for section in self.sections:
            if section.type in (REL, RELA):
                form = ("8xQ" if self.wide else "4xI") + ("8x" if self.wide else "4x") * (section.type == RELA)
                shift = 32 if self.wide else 8
                found[section.info] += {placed[info >> shift] for (info,) in self.entries(section, form)}
        return found


def crate(name):
    """The crate that a section's name tells: who asked for it, where it is of a common crate's types."""
    roots = re.finditer(r"C(?:s[0-9A-Za-z]*_)?(\d+)_?", name[name.index("_R") :]) if "_R" in name else []
    crates = [root.string[root.end() : root.end() + int(root[1])] for root in roots]
    crates += re.findall(r"_ZN(?:\d+_?\$LT\$)?\d*([a-z_0-9]+?)(?=\d|\.\.)", name)
    crates = [found for found in crates if found.isidentifier()]
    return next((found for found in crates if found not in CARRIERS), crates[0] if crates else None)


def owners(found):
    """The crate of each section that is loaded. Data without a name is of the first that refers to it."""
    owner = {at: crate(section.name) for at, section in enumerate(found.sections)}
    references = found.references()
    known = collections.deque(at for at in owner if owner[at])
    while known:
        at = known.popleft()
        for other in references[at]:
            if other < len(found.sections) and owner[other] is None:
                owner[other] = owner[at]
                known.append(other)
    return owner


def print_largest(found, program):
    sizes = collections.Counter()
    owner = owners(found)
    for at, section in enumerate(found.sections):
        if section.flags & ALLOC and section.type != NOBITS:
            sizes[TABLES.get(section.name) or owner[at] or "(no name)"] += section.size
    whole = Path(program).stat().st_size
    print(f"{whole:>10,} {program}, {whole / 2**20:.2f} MiB")
    print(f"{sum(sizes.values()):>10,} of it from Rust:")
    for name, size in sizes.most_common(LARGEST):
        print(f"{size:>10,} {name}")


def unhashed(name):
    """A pattern for a section, without what another compiler, or a build for another processor, names otherwise: the
    hashes of crates, and how far back a name repeats itself, which depends on the length of those."""
    name = re.sub(r"17h[0-9a-f]{16}E(\.llvm\.\d+)?$", "17h*", name)
    name = re.sub(r"\.llvm\.\d+$", "*", name)
    return re.sub(r"(?<=B)[0-9A-Za-z]*_", "*_", re.sub(r"(?<=Cs)[0-9A-Za-z]+_", "*_", name))


def print_matches(found, path):
    listed = set(map(unhashed, re.findall(r"\*\((\.text\.\S+)\)", Path(path).read_text())))
    matches = len(listed & {unhashed(section.name) for section in found.sections})
    if matches < MATCHES_AT_LEAST * len(listed):
        found = f"{matches} of the {len(listed)} functions in {path}"
        print(f"warning: {found} are in this program: more memory is resident. `make order` looks again.")


def main():
    found, subject = Object(sys.argv[1]), sys.argv[2]
    (print_matches if subject.endswith(".ld") else print_largest)(found, subject)


if __name__ == "__main__":
    main()
