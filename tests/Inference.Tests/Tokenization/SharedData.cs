namespace Eigengate.Inference.Tests.Tokenization;

/// <summary>The data folder that lies beside the repository; tests that need it skip by name where it is absent.</summary>
internal static class SharedData
{
    public static string Path(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = System.IO.Path.Combine(folder.FullName, "shared", "data", relative);
            if (System.IO.Path.Exists(candidate))
                return candidate;
        }

        Assert.Skip($"shared/data/{relative} is not beside the repository");
        return "";
    }
}
