using CsCheck;
using Eigengate.Inference.KvCache;

namespace Eigengate.Inference.Tests.KvCache;

public class KvBlockPoolTests
{
    [Fact]
    public void Random_growth_and_release_never_loses_or_shares_a_block()
    {
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 5], Gen.Select(Gen.Int[0, 5], Gen.Int[0, 60]).Array[0, 60]).Sample((blocks, blockSize, actions) =>
        {
            var pool = new KvBlockPool(blocks, blockSize);
            KvBlockTable[] tables = [.. Enumerable.Range(0, 5).Select(_ => new KvBlockTable(pool, PrefixRoot.BaseModel))];
            foreach (var (table, tokens) in actions)
            {
                if (table == 5)
                {
                    tables[tokens % 5].Release();
                }
                else
                {
                    int before = tables[table].Count, free = pool.Free;
                    bool reserved = tables[table].TryReserve(tokens);
                    Assert.Equal(reserved, pool.BlocksFor(tokens) - before <= free);
                    Assert.Equal(reserved ? Math.Max(before, pool.BlocksFor(tokens)) : before, tables[table].Count);
                }

                pool.Check(tables);
            }

            int[] held = [.. tables.SelectMany(t => t.Blocks.ToArray())];
            Assert.Equal(held.Length, held.Distinct().Count());
            Assert.Equal(held.Length, pool.Used);
        });
    }

    [Fact]
    public void Shared_block_is_free_only_after_its_last_reference()
    {
        var pool = new KvBlockPool(1, 2, new PrefixIndex(1, 2));
        var place = new PrefixPlace(PrefixRoot.BaseModel, 0);
        Assert.True(pool.TryTake(out int block));
        Assert.True(pool.TryKeep(block, place, [5, 6], out _));
        Assert.True(pool.TryShare(place, [5, 6], out int shared, out _));
        Assert.Equal(block, shared);
        pool.Release(block);
        Assert.False(pool.TryTake(out _));
        pool.Release(block);
        Assert.Equal(1, pool.Free);
        Assert.Throws<InvalidOperationException>(() => pool.Release(block));
    }

    [Fact]
    public void Slots_follow_the_table()
    {
        var pool = new KvBlockPool(8, 4);
        var first = new KvBlockTable(pool, PrefixRoot.BaseModel);
        var second = new KvBlockTable(pool, PrefixRoot.BaseModel);
        Assert.True(first.TryReserve(3));
        Assert.True(second.TryReserve(4));
        Assert.True(first.TryReserve(6));
        Assert.Equal([0, 1, 2, 3, 8, 9], Enumerable.Range(0, 6).Select(first.Slot));
    }

    [Fact]
    public void Check_finds_a_block_that_nobody_holds()
    {
        var pool = new KvBlockPool(2, 16);
        pool.TryTake(out _);
        Assert.Throws<InvalidOperationException>(() => pool.Check([]));
    }
}
