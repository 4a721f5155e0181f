using Eigengate.JointDiagonalization.Choosing;

namespace Eigengate.JointDiagonalization.Tests.Choosing;

public sealed class SettingSearchTests
{
    private static readonly CompressionSetting Small = new(8, 8, 1, 0), Middle = new(16, 16, 1, 0), Large = new(16, 16, 4, 0);

    [Fact]
    public void A_run_that_missed_its_target_moves_the_choice_up_and_one_that_held_does_not()
    {
        SettingSearch search = Search(new CompressionGoal { TargetError = 0.2 });
        ConsideredSetting first = search.Pick(hopeful: false).Setting;
        Assert.Equal(Middle, first.Setting);
        search.LearnFromRun(first, error: 0.19, bytes: 200);
        Assert.Equal(Middle, search.Pick(hopeful: false).Setting.Setting);
        search.LearnFromRun(search.Of(Middle), error: 0.21, bytes: 200);
        Assert.Equal((Large, true), (search.Pick(hopeful: false).Setting.Setting, search.Pick(hopeful: false).Reachable));
    }

    [Fact]
    public void A_bundle_that_came_out_larger_than_its_budget_moves_the_choice_down()
    {
        SettingSearch search = Search(new CompressionGoal { BudgetBytes = 210 });
        ConsideredSetting first = search.Pick(hopeful: false).Setting;
        Assert.Equal(Middle, first.Setting);
        search.LearnFromRun(first, error: 0.2, bytes: 220);
        Assert.Equal(Small, search.Pick(hopeful: false).Setting.Setting);
    }

    [Fact]
    public void Fits_correct_settings_of_as_many_clusters_most()
    {
        SettingSearch search = Search(new CompressionGoal { TargetError = 0.05 });
        search.Learn(Middle, 0.1);
        Assert.Equal(0.1, search.Of(Middle).Error, 1e-12);
        Assert.Equal(0.2, search.Of(Small).Error, 1e-12);
        Assert.Equal(0.05, search.Of(Large).Error, 1e-12);
        search.Learn(Large, 0.09);
        Assert.Equal(0.2, search.Of(Small).Error, 1e-12);
        Assert.Equal((Large, false), (search.Pick(hopeful: false).Setting.Setting, search.Pick(hopeful: false).Reachable));
    }

    [Fact]
    public void A_setting_that_just_misses_is_fitted_before_a_larger_one_is_taken()
    {
        SettingSearch search = Search(new CompressionGoal { TargetError = 0.195 });
        Assert.Equal(Middle, search.Pick(hopeful: true).Setting.Setting);
        Assert.Equal(Large, search.Pick(hopeful: false).Setting.Setting);
    }

    // 16x16 costs 200 bytes and loses 0.2; 8x8 half the bytes and twice the error, four clusters twice the bytes and half the error.
    private static SettingSearch Search(CompressionGoal goal) => new(
        goal,
        [Small, Middle, Large],
        s => s == Small ? 0.4 : s == Middle ? 0.2 : 0.1,
        s => s == Small ? 100 : s == Middle ? 200 : 400);
}
