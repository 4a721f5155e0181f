namespace Eigengate.Integration.Tests;

/// <summary>Paths of the checkout that these tests run from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Demo => Path.Combine(Root, "demo");

    public static string DemoBase => Path.Combine(Demo, "base");

    public static string DemoBundle => Path.Combine(Demo, "bundle");

    public static string DemoAdapters => Path.Combine(Demo, "adapters");

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Gateway.sln")))
                return folder.FullName;
        }

        throw new InvalidOperationException("Gateway.sln was not found above the test binaries");
    }
}
