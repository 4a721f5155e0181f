using Eigengate.JointDiagonalization;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Peft;
using Eigengate.JointDiagonalization.Placement;

namespace Example;

/// <summary>Compress, read and place a newcomer.</summary>
public static class Compression
{
    public static void Run(string adapters, string output, string newcomer)
    {
        var options = new CompressorOptions { Output = output, RankU = 8, RankV = 6, Clusters = 2 };
        CompressionResult result = Compressor.Compress(options, PeftAdapter.FindFolders(adapters));
        Console.WriteLine($"error {result.Report.MeanRelSqError:P2}, parameters saved {result.Report.ParametersSaved:P1}");

        using Bundle bundle = Bundle.Open(output);
        foreach (var (module, core) in bundle.ReadCores(bundle.Manifest.Adapters[0].Id))
            Console.WriteLine($"{module}: the core is {core.RankU} x {core.RankV}");

        AdapterPlacement placement = AdapterPlacer.Place(bundle, PeftAdapter.Open(newcomer));
        Console.WriteLine($"{placement.Adapter} fits cluster {placement.Cluster} with error {placement.RelSqError:P2}");
    }
}
