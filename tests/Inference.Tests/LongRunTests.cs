using Eigengate.Inference.Adapters;
using TorchSharp;

namespace Eigengate.Inference.Tests;

/// <summary>Measures the whole process, so nothing else may run meanwhile.</summary>
[Collection("alone")]
public class LongRunTests
{
    private const int WarmUp = 4_000, Requests = 20_000;
    private const long MegaByte = 1 << 20;

    [Fact]
    public void Memory_stays_flat_over_twenty_thousand_requests()
    {
        using var model = new TestModel(layers: 1, hidden: 16, intermediate: 16, heads: 2, kvHeads: 1);
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options() with { KvBlocks = 200, AdapterSlots = 64 });
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (4, 4), "self_attn.q_proj", "mlp.down_proj");
        engine.AddCluster("cluster", bases);
        AdapterWeights[] adapters = [.. Enumerable.Range(0, 100).Select(i => TestAdapters.Adapter($"a{i}", "cluster", bases, i))];
        int[][] prompts = [.. Enumerable.Range(0, 50).Select(i => model.Prompt(2 + (i % 40), i))];

        Run(engine, adapters, prompts, WarmUp);
        var before = Measure();
        Run(engine, adapters, prompts, Requests);
        var after = Measure();

        // Activations keep up to 256 views each of layouts they have seen; LiveTensorTests is exact about repeated ones.
        Assert.InRange(after.Tensors - before.Tensors, long.MinValue, Requests / 20);
        Assert.InRange(after.Managed - before.Managed, long.MinValue, MegaByte);
        Assert.InRange(after.Resident - before.Resident, long.MinValue, 32 * MegaByte);
        Assert.Equal((0, 0, 0), (engine.Stats.Running, engine.Stats.Waiting, engine.Stats.KvBlocksUsed));
    }

    /// <summary>Base and adapters that come and go, prefixes found again, some requests aborted.</summary>
    private static void Run(Engine engine, AdapterWeights[] adapters, int[][] prompts, int requests)
    {
        var random = new Random(1);
        for (int i = 0; i < requests; i++)
        {
            // At most 48 at once, so that there is always a slot to evict.
            int adapter = random.Next(adapters.Length + 20);
            TestStream stream = engine.Start(
                prompts[random.Next(prompts.Length)], TestEngine.Greedy(random.Next(1, 4)), adapter < adapters.Length ? engine.LoadAdapter(adapters[adapter]) : null);
            if (random.Next(20) == 0)
                engine.Abort(stream.Sequence);
            if (i % 48 == 47)
                engine.RunToEnd();
        }

        engine.RunToEnd();
    }

    private static (long Tensors, long Managed, long Resident) Measure()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        long managed = GC.GetTotalMemory(forceFullCollection: true);
        return (torch.Tensor.TotalCount, managed, Environment.WorkingSet);
    }
}
