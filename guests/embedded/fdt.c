/* A reader of flattened device trees (Devicetree Specification, chapter 5): one pass over the tokens. */
#include "fdt.h"
#include "board.h"
#include "string.h"

#define FDT_MAGIC 0xd00dfeed
#define FDT_BEGIN_NODE 1
#define FDT_END_NODE 2
#define FDT_PROP 3
#define FDT_NOP 4

static u32 be32(const void *at)
{
    const u8 *b = at;
    return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

static u64 be64(const void *at)
{
    return (u64)be32(at) << 32 | be32((const u8 *)at + 4);
}

static void read_property(const char *node, const char *name, const u8 *value, struct board_facts *facts)
{
    if (string_equal(name, "timebase-frequency"))
        facts->timebase_frequency = be32(value);
    else if (string_starts(node, "memory@") && string_equal(name, "reg"))
        facts->ram_end = be64(value) + be64(value + 8); /* two cells each, as on this board */
    else if (string_starts(node, "cpu@") && string_equal(name, "reg"))
        facts->hart_count++;
}

bool fdt_read(const void *tree, struct board_facts *facts)
{
    if (!tree || be32(tree) != FDT_MAGIC)
        return false;
    const u8 *at = (const u8 *)tree + be32((const u8 *)tree + 8);
    const char *strings = (const char *)tree + be32((const u8 *)tree + 12);
    const char *node = "";
    for (;;) {
        u32 token = be32(at);
        at += 4;
        if (token == FDT_BEGIN_NODE) {
            node = (const char *)at;
            at += (string_length(node) + 4) & ~3ul;
        } else if (token == FDT_PROP) {
            u32 length = be32(at);
            const char *name = strings + be32(at + 4);
            read_property(node, name, at + 8, facts);
            at += 8 + ((length + 3) & ~3ul);
        } else if (token != FDT_END_NODE && token != FDT_NOP) {
            break;
        }
    }
    if (facts->hart_count > HARTS_MAX)
        facts->hart_count = HARTS_MAX;
    return true;
}
