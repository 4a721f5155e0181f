using System.Text.RegularExpressions;
using Eigengate.JointDiagonalization.Bundles;
using Eigengate.JointDiagonalization.Tests.Support;

namespace Eigengate.JointDiagonalization.Tests;

/// <summary>The library as others use it.</summary>
public sealed partial class LibraryTests
{
    [Fact]
    public void The_example_of_the_readme_is_the_one_that_is_compiled_here()
    {
        string readme = File.ReadAllText(Path.Combine(Root, "src", "JointDiagonalization", "README.md"));
        string compiled = File.ReadAllText(Path.Combine(Root, "tests", "JointDiagonalization.Tests", "ReadmeExample.cs"));
        Assert.Equal(compiled, Code().Match(readme).Groups[1].Value);
    }

    [Fact]
    public void The_example_of_the_readme_compresses_reads_and_places()
    {
        using var folder = new TemporaryFolder();
        string[] adapters = AdapterFolders.Write(folder["adapters"], 6);
        Example.Compression.Run(folder["adapters"], folder["bundle"], adapters[4]);
        using Bundle bundle = Bundle.Open(folder["bundle"]);
        Assert.Equal((6, 2), (bundle.Manifest.Adapters.Length, bundle.Manifest.Clusters));
    }

    [Fact]
    public void It_knows_no_server()
    {
        string[] references = [.. typeof(Compressor).Assembly.GetReferencedAssemblies().Select(a => a.Name!)];
        Assert.Contains("TorchSharp", references);
        string[] servers = ["Microsoft.AspNetCore", "Microsoft.Extensions", "System.Net.Http", "System.Net.Sockets", "StackExchange", "Yarp", "Garnet"];
        Assert.All(references, name => Assert.DoesNotContain(servers, s => name.StartsWith(s, StringComparison.Ordinal)));
    }

    internal static string Root
    {
        get
        {
            DirectoryInfo folder = new(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(folder.FullName, "Gateway.sln")))
                folder = folder.Parent ?? throw new InvalidOperationException("Gateway.sln was not found above the test binaries");
            return folder.FullName;
        }
    }

    [GeneratedRegex(@"```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Code();
}
