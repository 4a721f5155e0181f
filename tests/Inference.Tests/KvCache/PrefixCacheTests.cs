using CsCheck;
using Eigengate.Inference.KvCache;

namespace Eigengate.Inference.Tests.KvCache;

public class PrefixCacheTests
{
    private static readonly PrefixRoot[] Roots =
    [
        PrefixRoot.BaseModel, new("a", "v1", "cluster"), new("a", "v2", "cluster"), new("b", "v1", "cluster"), new("a", "v1", "other"),
    ];

    [Fact]
    public void Ended_prefix_is_found_again_in_whole_blocks_below_the_limit()
    {
        var pool = new KvBlockPool(8, 4, new PrefixIndex(8, 4));
        int[] tokens = [.. Enumerable.Range(1, 14)];
        Fill(pool, Roots[0], tokens).Release();
        Assert.Equal((0, 3), (pool.Used, pool.Kept));

        foreach (var (limit, expected) in new[] { (13, 12), (12, 12), (11, 8), (3, 0), (0, 0) })
        {
            var table = new KvBlockTable(pool, Roots[0]);
            Assert.Equal(expected, table.SharePrefix(tokens, limit));
            table.Release();
        }
    }

    [Fact]
    public void Prefix_is_never_found_under_another_adapter_version_or_cluster()
    {
        var pool = new KvBlockPool(8, 2, new PrefixIndex(8, 2));
        int[] tokens = [1, 2, 3, 4];
        foreach (PrefixRoot root in Roots)
        {
            Fill(pool, root, tokens).Release();
            foreach (PrefixRoot other in Roots)
            {
                var table = new KvBlockTable(pool, other with { });
                Assert.Equal(root == other ? 4 : 0, table.SharePrefix(tokens, 4));
                table.Release();
            }

            TakeAll(pool);
        }
    }

    [Fact]
    public void Blocks_that_hold_nothing_are_taken_first_then_the_least_recently_used_from_their_ends()
    {
        var pool = new KvBlockPool(6, 2, new PrefixIndex(6, 2));
        Fill(pool, Roots[0], [1, 2, 3, 4]).Release();
        Fill(pool, Roots[0], [5, 6, 7, 8]).Release();
        var again = new KvBlockTable(pool, Roots[0]);
        Assert.Equal(4, again.SharePrefix([1, 2, 3, 4], 4));
        again.Release();

        var other = new KvBlockTable(pool, Roots[1]);
        Assert.True(other.TryReserve(4));
        Assert.Equal(4, pool.Kept);
        Assert.True(other.TryReserve(6));
        Assert.Equal((4, 2), (Found(pool, [1, 2, 3, 4]), Found(pool, [5, 6, 7, 8])));
        pool.Check([other]);
    }

    [Fact]
    public void Same_prefix_computed_twice_at_once_ends_in_shared_blocks()
    {
        var pool = new KvBlockPool(6, 2, new PrefixIndex(6, 2));
        KvBlockTable first = Fill(pool, Roots[0], [1, 2, 3, 4]), second = Fill(pool, Roots[0], [1, 2, 3, 4, 5, 6]);
        Assert.Equal(first.Blocks.ToArray(), second.Blocks[..2].ToArray());
        Assert.Equal(3, pool.Used);
        pool.Check([first, second]);
    }

    [Fact]
    public void Random_sharing_is_exact_even_when_every_hash_collides()
    {
        // What a block holds is a function of all tokens up to its end and of the root; sharing must never show other content.
        Gen.Select(Gen.Int[1, 14], Gen.Int[1, 3], Gen.Bool, Gen.Select(Gen.Int[0, 4], Gen.Int[0, 4], Gen.Int[0, 1].Array[0, 12], Gen.Bool).Array[0, 60])
            .Sample(
                (blocks, blockSize, collide, actions) =>
                {
                    var pool = new KvBlockPool(blocks, blockSize, new PrefixIndex(blocks, blockSize, collide ? _ => 7 : null));
                    string[] content = new string[blocks];
                    var tables = new KvBlockTable?[5];
                    foreach (var (slot, root, tokens, release) in actions)
                    {
                        tables[slot]?.Release();
                        tables[slot] = release ? null : Compute(pool, Roots[root], tokens, content);
                        pool.Check(tables.OfType<KvBlockTable>());
                        Assert.Equal(blocks, pool.Free + pool.Used);
                    }

                    foreach (KvBlockTable? table in tables)
                        table?.Release();
                    Assert.Equal(blocks, pool.Free);
                },
                iter: 3000);
    }

    private static KvBlockTable? Compute(KvBlockPool pool, PrefixRoot root, int[] tokens, string[] content)
    {
        var table = new KvBlockTable(pool, root);
        int cached = table.SharePrefix(tokens, tokens.Length);
        if (!table.TryReserve(tokens.Length))
        {
            table.Release();
            return null;
        }

        for (int b = cached / pool.BlockSize; b < table.Count; b++)
            content[table.Blocks[b]] = Content(b);
        table.KeepPrefix(tokens, tokens.Length);
        for (int b = 0; b < table.Count; b++)
            Assert.Equal(Content(b), content[table.Blocks[b]]);
        return table;

        string Content(int block) => $"{root}: {string.Join(' ', tokens.Take((block + 1) * pool.BlockSize))}";
    }

    private static KvBlockTable Fill(KvBlockPool pool, PrefixRoot root, int[] tokens)
    {
        var table = new KvBlockTable(pool, root);
        Assert.True(table.TryReserve(tokens.Length));
        table.KeepPrefix(tokens, tokens.Length);
        return table;
    }

    private static int Found(KvBlockPool pool, int[] tokens)
    {
        var table = new KvBlockTable(pool, Roots[0]);
        int found = table.SharePrefix(tokens, tokens.Length);
        table.Release();
        return found;
    }

    private static void TakeAll(KvBlockPool pool)
    {
        var table = new KvBlockTable(pool, Roots[0]);
        Assert.True(table.TryReserve(pool.Count * pool.BlockSize));
        Assert.Equal(0, pool.Kept);
        table.Release();
    }
}
