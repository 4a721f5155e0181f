namespace Eigengate.Gateway.Tests;

public sealed class DependencyTests
{
    [Fact]
    public void Gateway_brings_no_tensor_library()
    {
        var files = Directory.EnumerateFiles(AppContext.BaseDirectory).Select(Path.GetFileName);
        Assert.DoesNotContain(files, file => file!.Contains("torch", StringComparison.OrdinalIgnoreCase));
        Assert.DoesNotContain(files, file => file!.StartsWith("Eigengate.Inference", StringComparison.Ordinal));
    }
}
