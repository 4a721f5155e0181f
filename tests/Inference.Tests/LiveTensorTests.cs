using TorchSharp;

namespace Eigengate.Inference.Tests;

/// <summary>Counts the process's tensors, so nothing else may run meanwhile.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
public class AloneCollection;

[Collection("alone")]
public class LiveTensorTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Live_tensors_stay_flat_over_many_steps(bool reference)
    {
        using var model = new TestModel();
        using Engine engine = Engine.Load(model.Directory, TestEngine.Options(reference));
        var bases = TestAdapters.Cluster(model.Config, 1, _ => (8, 8));
        engine.AddCluster("cluster", bases);
        void Run()
        {
            for (int i = 0; i < 8; i++)
                engine.Start(model.Prompt(5 + (i * 3), i), TestEngine.Greedy(20), engine.LoadAdapter(TestAdapters.Adapter($"a{i % 3}", "cluster", bases, i)));
            engine.RunToEnd();
        }

        // The first round computes every prompt, the later ones find prefixes of them: steps of other sizes, with views of their own.
        Run();
        Run();
        long before = Live();
        for (int i = 0; i < 5; i++)
            Run();
        Assert.Equal(before, Live());
    }

    private static long Live()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return torch.Tensor.TotalCount;
    }
}
